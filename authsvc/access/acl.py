"""Levels, privileges, ACL entries and their resolution (semantics section 7)."""

from dataclasses import dataclass

__all__ = ["EffectiveAccess", "Requirement"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectiveAccess:
    pass
