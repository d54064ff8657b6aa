"""From a request to a database and a requirement: parameters, routes, the method (contract section 1).

What lives here: the query of the sub-request endpoint, and which of parameter, route and method decides. What
does not: routes (`routes.py`), whether the database exists and what its ACL says (`decision/pipeline.py`,
`acl.py`).

Invariants (threats T81, T88):

* A target is asked for in words, by parameter or by route: nothing falls through to identity alone.
* What the end client wrote (a query behind an appended path) is never read as a parameter of ours.
* The method decides only where it is the original request's; elsewhere a requirement must be named.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from authsvc.access.database_key import DatabaseNameError, database_key
from authsvc.access.levels import Level
from authsvc.access.paths import normalise_path
from authsvc.access.requirements import NO_REQUIREMENT, Requirement, read_requirement, requirement_of_method
from authsvc.access.routes import (
    Route,
    RouteError,
    RouteTable,
    match_route,
    read_route,
    shadowed_routes,
    unlimited_requirements,
)
from authsvc.original_request import OriginalRequest
from authsvc.reason import Reason
from directory_assistance.errors import shorten

__all__ = [
    "DatabaseNameError",
    "DatabaseTarget",
    "IdentityTarget",
    "RefusedTarget",
    "Route",
    "RouteError",
    "RouteTable",
    "Target",
    "database_key",
    "match_route",
    "normalise_path",
    "read_requirement",
    "read_route",
    "requirement_of_method",
    "resolve_target",
    "shadowed_routes",
    "target_of_words",
    "unlimited_requirements",
]

_SINGLE_PARAMETERS = frozenset({"database", "level", "identity"})
_REPEATABLE_PARAMETERS = frozenset({"privilege", "role"})
_PARAMETERS = _SINGLE_PARAMETERS | _REPEATABLE_PARAMETERS
_WELL_ESCAPED = re.compile(rb"(?:[^%]|%[0-9A-Fa-f]{2})*")


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseTarget:
    """A database (its key, see `database_key`) and what must be allowed in it."""

    database: str
    requirement: Requirement


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityTarget:
    """Identity alone, asked for by `identity=only` or a route with `identity_only: true`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedTarget:
    """No target: `bad_request` is answered at once, `database_unknown` after identity."""

    reason: Reason
    problem: str


Target = DatabaseTarget | IdentityTarget | RefusedTarget


class _ParameterError(ValueError):
    """The query of a sub-request cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parameters:
    """The query of a sub-request, read."""

    database: str | None = None
    requirement: Requirement = NO_REQUIREMENT
    identity_only: bool = False


def resolve_target(
    *, query: bytes, original: OriginalRequest | None, query_is_ours: bool, routes: RouteTable
) -> Target:
    """Decide what a sub-request asks for.

    1. Parameters, strictly: an unknown, empty, repeated or badly encoded one is `bad_request`.
    2. `identity=only` is identity alone; anything beside it is `bad_request`.
    3. The database: by parameter; else by the route of the original request, which may ask for identity alone
       (a requirement beside it is `bad_request`); else `database_unknown`.
    4. The requirement: by parameter and by route, both holding where both are named; else what the original
       method asks for; else `bad_request`.
    5. The key of the database; a text that is no database's name is `database_unknown`.

    Args:
        query: of the sub-request, as it came.
        original: the end client's request, None where the web server does not tell it. An empty method is one
            that the web server does not tell.
        query_is_ours: False behind an appended path, where the query is the end client's and nothing in it
            counts.
        routes: the route table; not looked at where a parameter names the database.

    Total. Not checked: whether the database exists.

    """
    try:
        parameters = _read_parameters(query) if query_is_ours else _Parameters()  # step 1
    except ValueError as problem:
        return _bad_request(str(problem))
    if parameters.identity_only:  # step 2
        if parameters.database is not None or not parameters.requirement.is_empty:
            return _bad_request("expected nothing beside `identity=only`")
        return IdentityTarget()
    if parameters.database is not None:  # step 3
        return _database_target(parameters.database, parameters.requirement, original)
    return _route_target(routes, parameters.requirement, original)


def target_of_words(
    *, database: str, level: str | None = None, privileges: Iterable[str] = (), roles: Iterable[str] = ()
) -> DatabaseTarget | RefusedTarget:
    """Return the target of the API and the command line; no requirement there means `level=reader`. Total."""
    try:
        requirement = read_requirement(level=level, privileges=privileges, roles=roles)
    except ValueError as problem:
        return _bad_request(str(problem))
    return _named_database(database, Requirement(level=Level.READER) if requirement.is_empty else requirement)


def _route_target(routes: RouteTable, requirement: Requirement, original: OriginalRequest | None) -> Target:
    """Step 3 of `resolve_target` where no parameter names a database."""
    route = None if original is None else match_route(routes, original)
    if route is None:
        found = "no original request" if original is None else f"no route for `{shorten(original.uri)}`"
        problem = f"expected a database by parameter or route, found {found}"
        return RefusedTarget(reason=Reason.DATABASE_UNKNOWN, problem=problem)
    if route.database is not None:
        return _database_target(route.database, requirement.joined_with(route.requirement), original)
    if not requirement.is_empty:
        return _bad_request(f"expected no requirement: route `{route}` asks for identity alone")
    return IdentityTarget()


def _database_target(
    database: str, requirement: Requirement, original: OriginalRequest | None
) -> DatabaseTarget | RefusedTarget:
    """Steps 4 and 5 of `resolve_target`, in this order: `bad_request` goes before `database_unknown`."""
    if not requirement.is_empty:
        return _named_database(database, requirement)
    if original is None or not original.method:
        return _bad_request("expected `level`, `privilege` or `role`: the original method is not known")
    return _named_database(database, requirement_of_method(original.method))


def _named_database(database: str, requirement: Requirement) -> DatabaseTarget | RefusedTarget:
    try:
        return DatabaseTarget(database=database_key(database), requirement=requirement)
    except DatabaseNameError as problem:
        return RefusedTarget(reason=Reason.DATABASE_UNKNOWN, problem=str(problem))


def _bad_request(problem: str) -> RefusedTarget:
    return RefusedTarget(reason=Reason.BAD_REQUEST, problem=problem)


def _read_parameters(query: bytes) -> _Parameters:
    """Read a query strictly; `+` is a space, as forms write it.

    Raises:
        ValueError: a parameter is not ours, stands twice, is empty, or cannot be read.

    """
    values: dict[str, list[str]] = {name: [] for name in _PARAMETERS}
    for piece in query.split(b"&") if query else []:
        name, value = map(_decode_parameter, piece.split(b"=", 1) if b"=" in piece else (piece, b""))
        if name not in _PARAMETERS:
            expected = ", ".join(f"`{known}`" for known in sorted(_PARAMETERS))
            raise _ParameterError(f"expected a parameter of {expected}, found `{shorten(name)}`")
        if name in _SINGLE_PARAMETERS and values[name]:
            raise _ParameterError(f"expected parameter `{name}` once, found it twice")
        if not value:
            raise _ParameterError(f"expected a value of parameter `{name}`, found none")
        values[name].append(value)
    database, level, identity = (next(iter(values[name]), None) for name in ("database", "level", "identity"))
    if identity not in {None, "only"}:
        raise _ParameterError(f"expected `identity=only`, found `identity={shorten(str(identity))}`")
    requirement = read_requirement(level=level, privileges=values["privilege"], roles=values["role"])
    return _Parameters(database=database, requirement=requirement, identity_only=identity is not None)


def _decode_parameter(octets: bytes) -> str:
    """Decode a name or a value once; both must be well escaped UTF-8."""
    if not _WELL_ESCAPED.fullmatch(octets):
        raise _ParameterError(f"expected percent-encoding, found `{shorten(octets.decode('latin-1'))}`")
    try:
        return unquote_to_bytes(octets.replace(b"+", b" ")).decode("utf-8")
    except UnicodeDecodeError:
        found = shorten(octets.decode("latin-1"))
        raise _ParameterError(f"expected UTF-8 in a parameter, found `{found}`") from None
