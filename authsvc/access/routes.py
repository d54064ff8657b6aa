"""The route table: from the place and method of an original request to a database (contract section 1).

What lives here: routes, which of them decides, and which never can. What does not: normalising and patterns
(`paths.py`), parameters, and what is decided where no route matches (`databases.py`).
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from authsvc.access.database_key import database_key
from authsvc.access.paths import (
    ANY_HOST,
    PathPattern,
    RouteError,
    normalise_host,
    normalise_path,
    read_host_pattern,
)
from authsvc.access.requirements import NO_REQUIREMENT, Requirement, read_requirement
from authsvc.original_request import OriginalRequest
from directory_assistance.errors import shorten

__all__ = [
    "Route",
    "RouteError",
    "RouteTable",
    "match_route",
    "read_route",
    "shadowed_routes",
    "unlimited_requirements",
]

_METHOD = re.compile(r"[A-Z][A-Z0-9-]*")
"""Methods as they are registered, all in capitals: a route for `get` would never match."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One line of the route table; `read_route` makes it.

    `host`: `*` or a normalised host. `methods`: None for all. `database`: its key, None for identity alone.
    `requirement`: empty where the method decides.
    """

    host: str
    path: PathPattern
    methods: frozenset[str] | None = None
    database: str | None = None
    requirement: Requirement = NO_REQUIREMENT

    def __str__(self) -> str:
        """Print as host, path and methods."""
        methods = "" if self.methods is None else f" ({', '.join(sorted(self.methods))})"
        return f"{self.host}{self.path}{methods}"

    def same_place(self, other: "Route") -> bool:
        """Whether both have the same host and path, and differ in method at most."""
        return (self.host, self.path) == (other.host, other.path)

    def covers(self, other: "Route") -> bool:
        """Whether every host and path that matches the other route matches this one."""
        return self.host in {ANY_HOST, other.host} and self.path.covers(other.path)

    def allows_method(self, method: str) -> bool:
        """Whether the route is for this method, compared exactly (RFC 9110 section 9.1)."""
        return self.methods is None or method in self.methods


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteTable:
    """The routes in file order; the first whose host, path and method match decides."""

    routes: tuple[Route, ...] = ()

    @property
    def reads_host(self) -> bool:
        """Whether any route asks for a host: the front end must then say it (`original_headers`)."""
        return any(route.host != ANY_HOST for route in self.routes)


def read_route(  # noqa: PLR0913 - the keys of a route in the configuration
    *,
    path: str,
    host: str = ANY_HOST,
    methods: Sequence[str] | None = None,
    database: str | None = None,
    level: str | None = None,
    privileges: Iterable[str] = (),
    roles: Iterable[str] = (),
    identity_only: bool = False,
) -> Route:
    """Make a route of what the configuration says.

    Raises:
        ValueError: a `RouteError`, `AclError` or `DatabaseNameError`; says what was expected.

    """
    requirement = read_requirement(level=level, privileges=privileges, roles=roles)
    if identity_only == (database is not None):
        found = "both" if identity_only else "neither"
        raise RouteError(f"expected either `database` or `identity_only`, found {found}")
    if identity_only and not requirement.is_empty:
        raise RouteError(f"expected no requirement beside `identity_only`, found `{requirement}`")
    if methods is not None:
        strange = [method for method in methods if not _METHOD.fullmatch(method)]
        if strange or not methods:
            found = f"`{shorten(strange[0])}`" if strange else "none"
            raise RouteError(f"expected methods in capitals, or no `methods` for all of them, found {found}")
    return Route(
        host=read_host_pattern(host),
        path=PathPattern.parse(path),
        methods=None if methods is None else frozenset(methods),
        database=None if database is None else database_key(database),
        requirement=requirement,
    )


def match_route(table: RouteTable, original: OriginalRequest) -> Route | None:
    """Return the route that decides about an original request, or None (`database_unknown`).

    Routes are tried in file order. The first whose host and path match fixes the place: after it only routes
    with the very same host and path are tried, so that a method it does not name never falls through to a
    wider route below. A host or path that cannot be normalised matches nothing. Where the host is not known,
    a route that asks for one and whose path matches ends the search too: a wider one below may not take what
    is perhaps its.
    """
    path = normalise_path(original.uri)
    host = None if original.host is None else normalise_host(original.host)
    if path is None or (host is None and original.host is not None):
        return None
    for position, place in enumerate(table.routes):
        if place.path.matches(path) and (place.host in {ANY_HOST, host} or host is None):
            if host is None and place.host != ANY_HOST:
                return None
            here = (route for route in table.routes[position:] if route.same_place(place))
            return next((route for route in here if route.allows_method(original.method)), None)
    return None


def shadowed_routes(table: RouteTable) -> tuple[tuple[Route, Route], ...]:
    """Return each route that can never decide, with an earlier one that covers it; in file order.

    A place is reached where its host and path first stand: an earlier route that covers the place takes
    everything, and earlier routes of the same place take their methods.
    """
    shadowed: list[tuple[Route, Route]] = []
    for position, route in enumerate(table.routes):
        twins = [other for other in table.routes[:position] if other.same_place(route)]
        first = table.routes.index(twins[0]) if twins else position
        wider = [other for other in table.routes[:first] if other.covers(route)]
        if cover := wider or _taking_methods(route, twins):
            shadowed.append((route, cover[0]))
    return tuple(shadowed)


def _taking_methods(route: Route, twins: Sequence[Route]) -> list[Route]:
    """Return the routes of the same place that leave no method to a later one; none where they leave some."""
    everything = [twin for twin in twins if twin.methods is None]
    if everything or route.methods is None:
        return everything
    taking = [twin for twin in twins if twin.methods is not None and twin.methods & route.methods]
    taken = frozenset[str]().union(*(twin.methods or () for twin in taking))
    return taking if route.methods <= taken else []


def unlimited_requirements(table: RouteTable) -> tuple[Route, ...]:
    """Return each route that names a requirement without `methods`, and so replaces that of every method."""
    return tuple(route for route in table.routes if not route.requirement.is_empty and route.methods is None)
