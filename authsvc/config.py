"""Reading `authsvc.yaml`, and with it `directory-assistance.yaml`: every mistake of both at once.

What lives here: the service's file as a whole, its routes, its names of people, groups and headers. What does
not: the models (`config_models.py`), listeners (`config_listeners.py`), trust (`config_trust.py`), the other
file (`directory_assistance/config.py`), the settings that come out (`settings.py`).

Invariants: settings come out only if neither file has a mistake (threat T69); nothing is connected to and no
database is opened.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from authsvc.access.database_key import database_key
from authsvc.access.paths import PathPattern, read_host_pattern
from authsvc.access.requirements import read_requirement
from authsvc.access.routes import Route, RouteTable, read_route, shadowed_routes, unlimited_requirements
from authsvc.config_anchors import anchor_names
from authsvc.config_listeners import API_NAME, ListenerReader
from authsvc.config_models import FileModel, RouteModel
from authsvc.config_trust import TrustReader
from authsvc.presented.original_headers import OriginalKind, OriginalPart
from authsvc.settings import FrontEndSettings, Settings, UnknownCertificate
from directory_assistance.config import DirectoryAssistanceReading, examine_directory_assistance
from directory_assistance.config_reading import ConfigReader
from directory_assistance.dn import Name, is_reserved, read_name
from directory_assistance.errors import ConfigurationError, NameSyntaxError, Problem, shorten
from directory_assistance.naming import NamingRule
from directory_assistance.yaml_lines import YamlPath, inspect_yaml, read_text, suggest

__all__ = ["IDENTITY_HEADERS", "ConfigurationReading", "Settings", "check_configuration", "read_settings"]

IDENTITY_HEADERS: Final = frozenset(
    {
        "Remote-Access",
        "Remote-Auth-Method",
        "Remote-Certificate-Sha256",
        "Remote-Database",
        "Remote-Dn",
        "Remote-Domain",
        "Remote-Email",
        "Remote-Groups",
        "Remote-Groups-Omitted",
        "Remote-Name",
        "Remote-Privileges",
        "Remote-Roles",
        "Remote-User",
    }
)
"""The identity headers by their default names (contract section 1)."""

_TAKEN_HEADERS: Final = frozenset(
    {"auth-reason", "cache-control", "connection", "content-length", "content-type", "date", "location"}
    | {"retry-after", "server", "transfer-encoding", "vary", "www-authenticate", "x-request-id"}
)
"""Headers that an answer has anyway."""

_HEADER_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,63}", re.ASCII)
"""Letters, digits and `-`: another character is dropped or folded by some web server on the way."""

_LONGEST_CACHE_TIME: Final = timedelta(hours=1)
"""A directory that nobody watches is believed for so long: longer is no cache but a copy."""

_LARGEST_CLOCK_SKEW: Final = timedelta(hours=1)
"""Clocks that are further apart are broken, not skewed."""

_FILE_HINT: Final = "`directory_assistance: directory-assistance.yaml`"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationReading:
    """What both files say. `settings` is None if any of the problems is more than a warning.

    `problems`: of both files, each in the order of its lines. `rules`: every naming rule that could be read,
    with its domain; `render_rule` prints it in six parts.
    """

    settings: Settings | None
    problems: tuple[Problem, ...]
    rules: tuple[tuple[str, NamingRule], ...] = ()


def read_settings(path: Path, *, environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the configuration of the service.

    Args:
        path: `authsvc.yaml`.
        environment: the variables that `${NAME}` may name.

    Raises:
        ConfigurationError: anything in either file is wrong; carries everything that is.

    """
    reading = check_configuration(path, environment=environment)
    if reading.settings is None:
        raise ConfigurationError(problem for problem in reading.problems if not problem.warning)
    return reading.settings


def check_configuration(path: Path, *, environment: Mapping[str, str] = os.environ) -> ConfigurationReading:
    """Read the configuration of the service and tell everything about it, warnings too; never raises."""
    try:
        loaded, problems = inspect_yaml(read_text(path), str(path))
    except ConfigurationError as error:
        return ConfigurationReading(settings=None, problems=error.problems)
    reader = ConfigReader(loaded=loaded, folder=path.parent, environment=environment, problems=list(problems))
    return _FileReader(path, reader).read()


class _FileReader:
    """Reads the whole of `authsvc.yaml`."""

    def __init__(self, path: Path, reader: ConfigReader) -> None:
        self._path = path
        self._reader = reader

    def read(self) -> ConfigurationReading:
        reader = self._reader
        model = reader.model(FileModel, ())
        if model is None:
            return ConfigurationReading(settings=None, problems=tuple(reader.problems))
        assistance_file, assistance = self._read_assistance(model)
        listeners = ListenerReader(reader)
        api = listeners.api()
        read = [listeners.front_end(("front_ends", position)) for position in range(len(model.front_ends))]
        front_ends = tuple(front_end for front_end in read if front_end is not None)
        trust, trust_model = TrustReader(
            reader, self._front_end_names() | {API_NAME}, _domain_names(assistance)
        ).read()
        routes = self._read_routes(model, read)
        administrators = self._read_administrators(model)
        self._check_names(model)
        self._check_times(model.cache.time, trust_model.clock_skew)
        self._check_front_ends(model, front_ends)
        audit_file = reader.located(("audit", "file"), model.audit.file)
        problems = self._all_problems(assistance)
        if any(not problem.warning for problem in problems):
            return ConfigurationReading(settings=None, problems=problems, rules=assistance.rules)
        assert api is not None
        assert audit_file is not None
        assert assistance_file is not None
        assert assistance.settings is not None
        assert len(front_ends) == len(read)
        settings = Settings(
            file=self._path.absolute(),
            directory_assistance_file=assistance_file,
            directory_assistance=assistance.settings,
            api=api,
            front_ends=front_ends,
            trust=trust,
            clock_skew=trust_model.clock_skew,
            unknown_certificate=model.unknown_certificate,
            routes=routes,
            audit_file=audit_file,
            deny_access=model.deny_access,
            full_access_administrators=administrators,
            expose_reasons=model.expose_reasons,
            header_budget=model.header_budget,
            identity_headers=dict(model.identity_headers),
            cache_time=model.cache.time,
            warnings=problems,
        )
        return ConfigurationReading(settings=settings, problems=problems, rules=assistance.rules)

    def _read_assistance(self, model: FileModel) -> tuple[Path | None, DirectoryAssistanceReading]:
        """Read the other file, which is shown as it is named from here."""
        self._reader.require(("directory_assistance",), hint=_FILE_HINT)
        located = self._reader.existing(("directory_assistance",), model.directory_assistance)
        if located is None or model.directory_assistance is None:
            return None, DirectoryAssistanceReading(settings=None, problems=())
        shown = self._path.parent / model.directory_assistance
        reading = examine_directory_assistance(
            shown, environment=self._reader.environment, anchors=anchor_names(self._reader)
        )
        return located, reading

    def _all_problems(self, assistance: DirectoryAssistanceReading) -> tuple[Problem, ...]:
        own = sorted(self._reader.problems, key=lambda problem: problem.line)
        return (*own, *assistance.problems)

    def _front_end_names(self) -> frozenset[str]:
        """Return the names of all front ends, whatever else is wrong with them."""
        front_ends = self._reader.loaded.value_at(("front_ends",))
        listed = front_ends if isinstance(front_ends, list) else []
        names = [front_end.get("name") for front_end in listed if isinstance(front_end, dict)]
        return frozenset(name for name in names if isinstance(name, str))

    # --- routes

    def _read_routes(self, model: FileModel, front_ends: list[FrontEndSettings | None]) -> RouteTable:
        placed: list[tuple[Route, YamlPath]] = []
        for position in range(len(model.routes)):
            path: YamlPath = ("routes", position)
            route = self._read_route(path)
            if route is not None:
                placed.append((route, path))
        table = RouteTable(routes=tuple(route for route, _ in placed))
        self._lint_routes(table, placed)
        self._check_hosts(table, front_ends)
        readable = [one for one in front_ends if one is not None]
        if placed and readable and all(one.original_request is OriginalKind.NONE for one in readable):
            self._reader.warn(
                ("routes",),
                "no front end says where the original request can be read, so no route is ever looked at",
                hint="`original_request: x-original`",
            )
        return table

    def _read_route(self, path: YamlPath) -> Route | None:
        """Read a route, first each key by itself, so that each mistake is told where it stands."""
        reader = self._reader
        model = reader.model(RouteModel, path)
        if model is None:
            return None
        before = len(reader.problems)
        reader.require((*path, "path"), hint="`/sales.nsf/**`")
        reader.read((*path, "host"), model.host, read_host_pattern)
        reader.read((*path, "path"), model.path, PathPattern.parse)
        reader.read((*path, "database"), model.database, database_key)
        reader.read((*path, "level"), model.level, lambda text: read_requirement(level=text))
        for position, privilege in enumerate(model.privilege):
            here = self._item((*path, "privilege"), position)
            reader.read(here, privilege, lambda text: read_requirement(privileges=[text]))
        for position, role in enumerate(model.role):
            reader.read(
                self._item((*path, "role"), position), role, lambda text: read_requirement(roles=[text])
            )
        if len(reader.problems) > before or model.path is None:
            return None
        whole: Callable[[str], Route] = lambda text: read_route(  # noqa: E731 - the reader calls it with the path
            path=text,
            host=model.host,
            methods=model.methods,
            database=model.database,
            level=model.level,
            privileges=model.privilege,
            roles=model.role,
            identity_only=model.identity_only,
        )
        return reader.read(path, model.path, whole)

    def _item(self, path: YamlPath, position: int) -> YamlPath:
        """Return the place of one of several values, or of the only one, which stands there without a list."""
        return (*path, position) if isinstance(self._reader.loaded.value_at(path), list) else path

    def _lint_routes(self, table: RouteTable, placed: list[tuple[Route, YamlPath]]) -> None:
        lines = {id(route): path for route, path in placed}
        for route, cover in shadowed_routes(table):
            line = self._reader.loaded.line_of(lines[id(cover)])
            self._reader.warn(
                lines[id(route)],
                f"`{shorten(str(route))}` never decides",
                hint=f"line {line} comes before it",
            )
        for route in unlimited_requirements(table):
            self._reader.warn(
                lines[id(route)],
                f"`{route.requirement}` replaces what each method asks for, writing ones too",
                hint="`methods: [GET]`",
            )

    def _check_hosts(self, table: RouteTable, front_ends: list[FrontEndSettings | None]) -> None:
        if not table.reads_host:
            return
        for position, front_end in enumerate(front_ends):
            if front_end is None or front_end.original_request is OriginalKind.NONE:
                continue
            if OriginalPart.HOST not in front_end.original_parts:
                self._reader.error(
                    ("front_ends", position, "original_headers"),
                    f"a route asks for a host, and front end `{front_end.name}` does not say it",
                    hint="`original_headers: [uri, method, host]`, if the web server sets that header",
                )

    # --- names, headers, times

    def _read_administrators(self, model: FileModel) -> frozenset[Name]:
        path: YamlPath = ("full_access_administrators",)
        self._reader.unique(path, model.full_access_administrators)
        read = [
            self._reader.read((*path, position), text, _read_identity)
            for position, text in enumerate(model.full_access_administrators)
        ]
        return frozenset(name for name in read if name is not None)

    def _check_names(self, model: FileModel) -> None:
        self._reader.unique(("deny_access",), model.deny_access)
        taken: dict[str, str] = {}
        for old, new in model.identity_headers.items():
            path: YamlPath = ("identity_headers", old)
            if old not in IDENTITY_HEADERS:
                hint = suggest(old, IDENTITY_HEADERS)
                self._reader.error(path, f"expected an identity header, found `{shorten(old)}`", hint=hint)
            elif _HEADER_NAME.fullmatch(new) is None or new.casefold() in _TAKEN_HEADERS:
                self._reader.error(
                    path, f"expected a free header name of letters, digits and `-`, found `{shorten(new)}`"
                )
        for header in sorted(IDENTITY_HEADERS):
            name = model.identity_headers.get(header, header)
            first = taken.setdefault(name.casefold(), header)
            if first != header:
                culprit = header if header in model.identity_headers else first
                self._reader.error(
                    ("identity_headers", culprit), f"`{first}` and `{header}` would both be `{shorten(name)}`"
                )

    def _check_times(self, cache_time: timedelta, clock_skew: timedelta) -> None:
        if cache_time > _LONGEST_CACHE_TIME:
            self._reader.error(
                ("cache", "time"), f"expected a time of at most `1h`, found `{self._said('cache', 'time')}`"
            )
        if clock_skew > _LARGEST_CLOCK_SKEW:
            found = self._said("trust", "clock_skew")
            self._reader.error(("trust", "clock_skew"), f"expected a time of at most `1h`, found `{found}`")

    def _said(self, *path: str) -> str:
        return str(self._reader.loaded.value_at(path))

    def _check_front_ends(self, model: FileModel, front_ends: tuple[FrontEndSettings, ...]) -> None:
        if not model.front_ends and self._reader.loaded.value_at(("front_ends",)) in (None, []):
            self._reader.warn(("front_ends",), "no web server can ask anything: there is no front end")
        anonymous = any(front_end.anonymous for front_end in front_ends)
        if model.unknown_certificate is UnknownCertificate.ANONYMOUS and front_ends and not anonymous:
            self._reader.warn(
                ("unknown_certificate",),
                "has no effect: no front end allows anonymous",
                hint="`anonymous: true` on a front end",
            )


def _domain_names(assistance: DirectoryAssistanceReading) -> frozenset[str] | None:
    """Return the names of all domains; None where the other file is wrong."""
    settings = assistance.settings
    if settings is None:
        return None
    return frozenset({settings.primary.domain, *(each.domain for each in settings.domains)})


def _read_identity(text: str) -> Name:
    """Read the name of a person.

    Raises:
        NameSyntaxError: it is none, or one that nobody has.

    """
    name = read_name(text)
    if is_reserved(name):
        raise NameSyntaxError(f"expected the name of a person, found `{shorten(text)}`")
    return name
