"""What must be allowed: a requirement, read from words or taken from a method (semantics section 7).

What lives here: the value and its two sources. What does not: which source counts for a request
(`databases.py`), and whether it is met (`acl.py`).

INVARIANT: a requirement that names nothing is met by nobody. Whoever reads words decides what none of them
means.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from authsvc.access.entries import read_role
from authsvc.access.levels import AclError, Level, Privilege, read_level, read_privilege

__all__ = ["NO_REQUIREMENT", "Requirement", "read_requirement", "requirement_of_method"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """What must be allowed: all of it. One that names nothing is met by nobody."""

    level: Level | None = None
    privileges: frozenset[Privilege] = frozenset()
    roles: frozenset[str] = frozenset()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is named."""
        return self.level is None and not self.privileges and not self.roles

    @property
    def implied_level(self) -> Level | None:
        """The level that is asked for, in words or, by a role alone, as Reader."""
        return Level.READER if self.level is None and self.roles and not self.privileges else self.level

    def joined_with(self, other: "Requirement") -> "Requirement":
        """Return a requirement that is met exactly where both are; an empty one adds nothing."""
        levels = [level for level in (self.implied_level, other.implied_level) if level is not None]
        return Requirement(
            level=max(levels, default=None),
            privileges=self.privileges | other.privileges,
            roles=self.roles | other.roles,
        )

    def __str__(self) -> str:
        """Print as parameters: `level=Editor privilege=delete_documents role=Buyer`."""
        level = [] if self.level is None else [f"level={self.level.label}"]
        privileges = [f"privilege={privilege}" for privilege in sorted(self.privileges)]
        return " ".join([*level, *privileges, *(f"role={role}" for role in sorted(self.roles))]) or "nothing"


NO_REQUIREMENT = Requirement()
"""Nothing is named: the method decides, or nobody is let in."""

_READ = Requirement(level=Level.READER)
_REQUIREMENT_OF_METHOD: Mapping[str, Requirement] = MappingProxyType(
    {
        "GET": _READ,
        "HEAD": _READ,
        "OPTIONS": _READ,
        "POST": Requirement(privileges=frozenset({Privilege.CREATE_DOCUMENTS})),
        "PUT": Requirement(level=Level.AUTHOR),
        "PATCH": Requirement(level=Level.AUTHOR),
        "DELETE": Requirement(privileges=frozenset({Privilege.DELETE_DOCUMENTS})),
    }
)
_OTHER_METHOD = Requirement(level=Level.EDITOR)


def requirement_of_method(method: str) -> Requirement:
    """Return what a method asks for where nothing else is named; anything unusual asks for Editor.

    Methods are case-sensitive (RFC 9110 section 9.1): `get` is unusual.
    """
    return _REQUIREMENT_OF_METHOD.get(method, _OTHER_METHOD)


def read_requirement(
    *, level: str | None = None, privileges: Iterable[str] = (), roles: Iterable[str] = ()
) -> Requirement:
    """Read a requirement of words; without any it is empty (`Requirement.is_empty`).

    Raises:
        AclError: a word is no level, privilege or role, or the level is No Access, which nobody can require.

    """
    read = None if level is None else read_level(level)
    if read is Level.NO_ACCESS:
        raise AclError("expected a level that gives something, found `No Access`")
    return Requirement(
        level=read,
        privileges=frozenset(map(read_privilege, privileges)),
        roles=frozenset(map(read_role, roles)),
    )
