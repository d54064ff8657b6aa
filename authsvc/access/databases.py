"""From a request to a database and a requirement: parameters, routes, paths (contract section 1)."""

from dataclasses import dataclass

from authsvc.access.acl import Requirement

__all__ = ["DatabaseTarget", "IdentityTarget", "RefusedTarget", "Target"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseTarget:
    """A database (casefolded name) and what must be allowed in it."""

    database: str
    requirement: Requirement


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityTarget:
    """Identity alone, asked for by `identity=only` or a route with `identity_only: true`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedTarget:
    """No target: `bad_request` is answered at once, `database_unknown` after identity. `reason` is the code."""

    reason: str
    problem: str


Target = DatabaseTarget | IdentityTarget | RefusedTarget
