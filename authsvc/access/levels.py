"""The vocabulary of a database ACL: levels, privileges, user types, and which level may hold which privilege.

What lives here: the words of semantics section 7 with its table, and reading them from text. What does not:
ACL entries (`entries.py`) and what they give (`acl.py`).

INVARIANT: for each level, `FIXED_PRIVILEGES` and `OPTIONAL_PRIVILEGES` are disjoint; what is in neither, an
entry of that level never has.
"""

from collections.abc import Mapping
from enum import IntEnum, StrEnum
from types import MappingProxyType

from directory_assistance.errors import shorten

__all__ = [
    "FIXED_PRIVILEGES",
    "OPTIONAL_PRIVILEGES",
    "AclError",
    "Level",
    "Privilege",
    "UserType",
    "read_level",
    "read_privilege",
    "read_user_type",
]


class AclError(ValueError):
    """A text is no ACL entry, level, privilege, type or role, or an ACL contradicts itself."""


class Level(IntEnum):
    """How much an ACL entry gives; a higher level compares greater."""

    NO_ACCESS = 0
    DEPOSITOR = 1
    READER = 2
    AUTHOR = 3
    EDITOR = 4
    DESIGNER = 5
    MANAGER = 6

    @property
    def label(self) -> str:
        """The level as it is written: `No Access`, `Editor`."""
        return self.name.replace("_", " ").title()


class Privilege(StrEnum):
    """What a level may be allowed beside its plain meaning."""

    CREATE_DOCUMENTS = "create_documents"
    DELETE_DOCUMENTS = "delete_documents"
    CREATE_PRIVATE_AGENTS = "create_private_agents"
    CREATE_PERSONAL_FOLDERS = "create_personal_folders"
    CREATE_SHARED_FOLDERS = "create_shared_folders"
    CREATE_SCRIPT_AGENTS = "create_script_agents"
    READ_PUBLIC_DOCUMENTS = "read_public_documents"
    WRITE_PUBLIC_DOCUMENTS = "write_public_documents"
    REPLICATE_OR_COPY_DOCUMENTS = "replicate_or_copy_documents"


class UserType(StrEnum):
    """What an ACL entry's name must be, to be matched; `unspecified` is no check."""

    PERSON = "person"
    SERVER = "server"
    PERSON_GROUP = "person group"
    SERVER_GROUP = "server group"
    MIXED_GROUP = "mixed group"
    UNSPECIFIED = "unspecified"


_LEVELS_OF_TABLE = (
    Level.MANAGER,
    Level.DESIGNER,
    Level.EDITOR,
    Level.AUTHOR,
    Level.READER,
    Level.DEPOSITOR,
    Level.NO_ACCESS,
)
_TABLE: Mapping[Privilege, str] = MappingProxyType(
    {  # one letter for each of `_LEVELS_OF_TABLE`: Y fixed on, o optional, - never
        Privilege.CREATE_DOCUMENTS: "YYYo-Y-",
        Privilege.DELETE_DOCUMENTS: "oooo---",
        Privilege.CREATE_PRIVATE_AGENTS: "YYooo--",
        Privilege.CREATE_PERSONAL_FOLDERS: "YYooo--",
        Privilege.CREATE_SHARED_FOLDERS: "YYo----",
        Privilege.CREATE_SCRIPT_AGENTS: "Yoooo--",
        Privilege.READ_PUBLIC_DOCUMENTS: "YYYYYoo",
        Privilege.WRITE_PUBLIC_DOCUMENTS: "YYYoooo",
        Privilege.REPLICATE_OR_COPY_DOCUMENTS: "ooooooo",
    }
)


def _privileges_marked(mark: str) -> Mapping[Level, frozenset[Privilege]]:
    columns = {
        privilege: dict(zip(_LEVELS_OF_TABLE, marks, strict=True)) for privilege, marks in _TABLE.items()
    }
    return MappingProxyType(
        {
            level: frozenset(privilege for privilege, marks in columns.items() if marks[level] == mark)
            for level in _LEVELS_OF_TABLE
        }
    )


FIXED_PRIVILEGES = _privileges_marked("Y")
"""What each level always has, named or not."""

OPTIONAL_PRIVILEGES = _privileges_marked("o")
"""What each level has only where it is named.

NOTE: Depositor and No Access may name `replicate_or_copy_documents` only together with
`read_public_documents`; `entries.py` refuses it alone.
"""


def read_level(text: str) -> Level:
    """Read a level, in any case: `Editor`, `no access`, `no_access`.

    Raises:
        AclError: it is none; lists the levels.

    """
    wanted = text.casefold().replace("_", " ")
    for level in Level:
        if level.label.casefold() == wanted:
            return level
    raise AclError(
        f"expected a level ({', '.join(level.label for level in reversed(Level))}), found `{shorten(text)}`"
    )


def read_privilege(text: str) -> Privilege:
    """Read a privilege, spelled exactly.

    Raises:
        AclError: it is none; lists the privileges.

    """
    try:
        return Privilege(text)
    except ValueError:
        raise AclError(f"expected a privilege ({', '.join(Privilege)}), found `{shorten(text)}`") from None


def read_user_type(text: str) -> UserType:
    """Read a user type, spelled exactly.

    Raises:
        AclError: it is none; lists the types.

    """
    try:
        return UserType(text)
    except ValueError:
        raise AclError(f"expected a type ({', '.join(UserType)}), found `{shorten(text)}`") from None
