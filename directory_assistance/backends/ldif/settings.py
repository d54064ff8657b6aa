"""The settings of an `ldif` directory, as a value."""

from dataclasses import dataclass
from pathlib import Path

__all__ = ["LdifSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LdifSettings:
    """Where the file is; an absolute path."""

    path: Path
