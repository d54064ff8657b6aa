"""Search filters as trees, and their only printer (RFC 4515)."""

from dataclasses import dataclass

__all__ = ["And", "Equality", "Filter", "Not", "Or", "Present", "render_filter"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Equality:
    """`(attribute=value)`; text is printed as UTF-8, bytes octet by octet."""

    attribute: str
    value: str | bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    attribute: str


@dataclass(frozen=True, slots=True, kw_only=True)
class And:
    parts: "tuple[Filter, ...]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Or:
    parts: "tuple[Filter, ...]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Not:
    part: "Filter"


Filter = Equality | Present | And | Or | Not


def render_filter(node: Filter) -> str:
    raise NotImplementedError
