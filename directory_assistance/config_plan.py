"""Reading a match plan: `find_by`, `bind_by`, `issued_by`, and the limits that stand beside them.

What lives here: the keys that `primary` and every domain have, wherever they stand. What does not: what a
plan asks (`candidates.py`), filter templates (`filter_templates.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from directory_assistance.candidates import BindBy, FindBy, FindWay, MatchPlan
from directory_assistance.config_models import DomainType, PlanModel, WayOptionsModel
from directory_assistance.config_reading import ConfigReader
from directory_assistance.errors import shorten
from directory_assistance.filter_templates import read_filter_template
from directory_assistance.groups import ExpansionLimits
from directory_assistance.yaml_lines import YamlPath, YamlValue, suggest

__all__ = ["PlanKeys", "PlanReader", "place_keys"]

_Value = TypeVar("_Value")

_DEFAULT_WAYS: Final = tuple(
    FindWay(find_by=find_by)
    for find_by in (FindBy.CERTIFICATE, FindBy.SUBJECT, FindBy.COMMON_NAME, FindBy.MAIL)
)
"""Semantics section 5."""

_DEFAULT_SIZE_LIMIT: Final = 100

_LDAP_WAYS: Final = frozenset({FindBy.UPN, FindBy.UID, FindBy.SID, FindBy.FILTER})
"""Ways that only entries of LDAP have the attributes for, in a server or in a file."""

_WITH_LDAP_ENTRIES: Final = (DomainType.LDAP, DomainType.LDIF)

_WAYS_HINT: Final = '`mail`, `{mail: {multiple: first}}` or `{filter: "(employeeNumber={subject.uid})"}`'


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanKeys:
    """The keys of a plan and where each of them stands."""

    model: PlanModel
    paths: Mapping[str, YamlPath]


def place_keys(
    reader: ConfigReader, path: YamlPath, model: PlanModel, inner: PlanModel | None = None
) -> PlanKeys:
    """Take the keys of a plan together, from a domain and from `ldap` inside it.

    A key in both places is reported, and the domain's counts.
    """
    paths: dict[str, YamlPath] = {}
    for key in PlanModel.model_fields:
        here, there = (*path, key), (*path, "ldap", key)
        paths[key] = here
        if inner is not None and reader.stands(there):
            if reader.stands(here):
                reader.error(there, "stands on the domain as well as under `ldap`", hint="keep one")
            else:
                paths[key] = there
    if inner is None:
        return PlanKeys(model=model, paths=paths)
    merged = PlanModel.model_construct(
        find_by=_first(model.find_by, inner.find_by),
        bind_by=_first(model.bind_by, inner.bind_by),
        issued_by=_first(model.issued_by, inner.issued_by),
        size_limit=_first(model.size_limit, inner.size_limit),
        groups=_first(model.groups, inner.groups),
    )
    return PlanKeys(model=merged, paths=paths)


def _first(outer: _Value | None, inner: _Value | None) -> _Value | None:
    return inner if outer is None else outer


@dataclass(frozen=True, slots=True)
class PlanReader:
    """Reads the plan of one directory.

    `anchors`: the trust anchors that `issued_by` may name, None where nobody knows them.
    """

    reader: ConfigReader
    keys: PlanKeys
    kind: DomainType
    anchors: frozenset[str] | None

    def plan(self) -> MatchPlan:
        """Return the match plan."""
        reader, path = self.reader, self.keys.paths["bind_by"]
        ways, issued_by = self._ways(), self._issued_by()
        bind_by = self.keys.model.bind_by or BindBy.CERTIFICATE
        if bind_by.needs_issued_by and not reader.stands(self.keys.paths["issued_by"]):
            reader.error(
                path,
                f"`{bind_by}` is a statement of the CA and needs `issued_by`",
                hint="name the trust anchors that may make it: `issued_by: [corp]`",
            )
        if bind_by is BindBy.SID:
            self._require_type(path, bind_by, *_WITH_LDAP_ENTRIES)
        if bind_by is BindBy.INSECURE_NAME_ONLY:
            reader.warn(
                path,
                "any certificate of any trust anchor with somebody's name becomes that person",
                hint="`bind_by: certificate`, or `name` with `issued_by`",
            )
        return MatchPlan(ways=ways, bind_by=bind_by, issued_by=issued_by)

    def size_limit(self) -> int:
        """Return how many entries may share a name."""
        limit = self.keys.model.size_limit
        return _DEFAULT_SIZE_LIMIT if limit is None else limit

    def expansion(self) -> ExpansionLimits:
        """Return the limits of nested groups."""
        style = (*self.keys.paths["groups"], "style")
        if self.reader.stands(style):
            self._require_type(style, "style", DomainType.LDAP)
        groups = self.keys.model.groups
        if groups is None:
            return ExpansionLimits()
        if groups.style.needs_active_directory and not groups.nested:
            self.reader.error(
                (*self.keys.paths["groups"], "nested"),
                f"`style: {groups.style}` tells nested groups at once, and `nested: false` says there are none",
                hint="`style: member`",
            )
        return ExpansionLimits(nested=groups.nested, max_depth=groups.max_depth, max_groups=groups.max_count)

    def _require_type(self, path: YamlPath, what: str, *kinds: DomainType) -> None:
        if self.kind not in kinds:
            named = " or ".join(f"`{kind}`" for kind in kinds)
            self.reader.error(
                path, f"`{what}` is for type {named}, and this directory is of type `{self.kind}`"
            )

    def _issued_by(self) -> frozenset[str]:
        path, names = self.keys.paths["issued_by"], self.keys.model.issued_by
        if names == ():
            self.reader.error(path, "expected at least one trust anchor, found none")
        for position, name in enumerate(names or ()):
            if self.anchors is not None and name not in self.anchors:
                self.reader.error(
                    (*path, position),
                    f"there is no trust anchor `{shorten(name)}`",
                    hint=suggest(name, self.anchors),
                )
        self.reader.unique(path, names or ())
        return frozenset(names or ())

    def _ways(self) -> tuple[FindWay, ...]:
        path, items = self.keys.paths["find_by"], self.keys.model.find_by
        if items is None:
            return _DEFAULT_WAYS
        if not items:
            self.reader.error(
                path, "expected at least one way, found none", hint="leave it out for the default"
            )
        ways: list[FindWay] = []
        for position in range(len(items)):
            here = (*path, position)
            way = self._way(here, self.reader.loaded.value_at(here))
            if way is None:
                continue
            if way.find_by in _LDAP_WAYS:
                self._require_type(here, way.find_by, *_WITH_LDAP_ENTRIES)
            if way.find_by is not FindBy.FILTER and any(way.find_by is other.find_by for other in ways):
                self.reader.error(here, f"`{way.find_by}` stands twice")
            ways.append(way)
        return tuple(ways)

    def _way(self, path: YamlPath, value: YamlValue) -> FindWay | None:
        """Read `mail`, `{mail: {multiple: first}}` or `{filter: "(...)"}`."""
        if isinstance(value, str):
            find_by = self._named(path, value)
            if find_by is FindBy.FILTER:
                self.reader.error(path, "`filter` needs a filter", hint=_WAYS_HINT)
                return None
            return None if find_by is None else FindWay(find_by=find_by)
        if not isinstance(value, dict) or len(value) != 1:
            self.reader.error(path, "expected the name of a way, or a mapping with one", hint=_WAYS_HINT)
            return None
        ((name, said),) = value.items()
        find_by = self._named((*path, name), name)
        if find_by is FindBy.FILTER:
            return self._filter((*path, name), said)
        return None if find_by is None else self._way_with_options((*path, name), find_by)

    def _named(self, path: YamlPath, name: str) -> FindBy | None:
        if name in set(FindBy):
            return FindBy(name)
        self.reader.error(
            path, f"expected a way to find entries, found `{shorten(name)}`", hint=suggest(name, FindBy)
        )
        return None

    def _filter(self, path: YamlPath, text: YamlValue) -> FindWay | None:
        if not isinstance(text, str):
            self.reader.error(path, "`filter` needs a filter", hint=_WAYS_HINT)
            return None
        template = self.reader.read(path, text, read_filter_template)
        return None if template is None else FindWay(find_by=FindBy.FILTER, template=template)

    def _way_with_options(self, path: YamlPath, find_by: FindBy) -> FindWay | None:
        options = self.reader.model(WayOptionsModel, path)
        if options is None:
            return None
        if options.legacy_subject_email and find_by is not FindBy.MAIL:
            self.reader.error((*path, "legacy_subject_email"), f"is for `mail`, not for `{find_by}`")
        return FindWay(
            find_by=find_by,
            first_of_several=options.multiple is not None,
            legacy_subject_email=options.legacy_subject_email,
        )
