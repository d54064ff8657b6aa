"""The models of `directory-assistance.yaml`: its keys, their types and their defaults (contract section 4).

What lives here: the shape of the file. What does not: whether what it says makes sense (`config.py` and its
parts).

A key that the contract requires is None here and required by the reader, so that one gap hides no other
mistake.
"""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Literal

import pydantic

from directory_assistance.backends.ldap.settings import GroupStyle, ServerKind
from directory_assistance.candidates import BindBy
from directory_assistance.config_reading import ConfigModel, Duration, Lax, Text, Texts
from directory_assistance.domains import Ambiguity, GroupAuthorization, OnUnavailable
from directory_assistance.errors import shorten

__all__ = [
    "BindModel",
    "DomainModel",
    "DomainType",
    "ExternalModel",
    "FileModel",
    "GroupsModel",
    "LdapModel",
    "PlanModel",
    "PrimaryModel",
    "RuleModel",
    "TlsModel",
    "WayOptionsModel",
]

_LARGEST_SIZE_LIMIT = 10_000
"""Entries that may share a looked-up name: all of them are fetched and bound, at some microseconds each."""

_DEEPEST_EXPANSION = 100
_MOST_GROUPS = 100_000
"""Bounds of the bounds of nesting: one expansion must stay within the deadline of a request."""


class DomainType(StrEnum):
    """The kinds of directory that a file may name."""

    SQL = "sql"
    LDIF = "ldif"
    LDAP = "ldap"


class GroupsModel(ConfigModel):
    """Nesting of groups; `style` for type `ldap` only."""

    style: Annotated[GroupStyle, Lax] = GroupStyle.MEMBER
    nested: bool = True
    max_depth: Annotated[int, pydantic.Field(ge=1, le=_DEEPEST_EXPANSION)] = 20
    max_count: Annotated[int, pydantic.Field(ge=1, le=_MOST_GROUPS)] = 10_000


class PlanModel(ConfigModel):
    """The keys that stand on `primary`, on a domain, or under its `ldap`."""

    find_by: Annotated[tuple[object, ...], Lax] | None = None
    bind_by: Annotated[BindBy, Lax] | None = None
    issued_by: Texts | None = None
    size_limit: Annotated[int, pydantic.Field(ge=2, le=_LARGEST_SIZE_LIMIT)] | None = None
    groups: GroupsModel | None = None


class PrimaryModel(PlanModel):
    """`primary`."""

    domain: Text | None = None
    url: Text | None = None
    sample: Text | None = None


class ExternalModel(ConfigModel):
    """`bind: {external: ...}`."""

    certificate: Text | None = None
    key: Text | None = None


class BindModel(ConfigModel):
    """`bind`; empty for `anonymous`."""

    dn: Text | None = None
    password_file: Text | None = None
    password: object = None  # not text: what is wrong with it must not be quoted
    external: ExternalModel | None = None


class TlsModel(ConfigModel):
    """`tls` of an LDAP directory."""

    ca_file: Text | None = None
    verify_server_name: bool = True
    minimum_version: Literal["1.2", "1.3"] = "1.2"


def _read_bind(value: object) -> object:
    if isinstance(value, str) and value != "anonymous":
        raise ValueError(
            f"expected `anonymous`, or a mapping with `dn` or `external`, found `{shorten(value)}`"
        )
    return {} if isinstance(value, str) else value


class LdapModel(PlanModel):
    """`ldap` of a domain."""

    hosts: Texts | None = None
    bind: Annotated[BindModel, pydantic.BeforeValidator(_read_bind)] | None = None
    base: Text | None = None
    tls: TlsModel = TlsModel()
    connect_timeout: Duration = timedelta(seconds=2)
    timeout: Duration = timedelta(seconds=5)
    server: Annotated[ServerKind, Lax] = ServerKind.STANDARD
    name_attribute: Text | None = None
    watch: Literal["auto", "off"] = "auto"


def _read_group_authorization(value: object) -> object:
    """`true` is `own` (contract section 4)."""
    return {True: "own", False: "false"}[value] if isinstance(value, bool) else value


class DomainModel(PlanModel):
    """One of `domains`, of any type."""

    domain: Text | None = None
    type: Annotated[DomainType, Lax] | None = None
    enabled: bool = True
    search_order: Annotated[int, pydantic.Field(ge=0)] | None = None
    rules: Annotated[tuple[object, ...], Lax] = ()
    group_authorization: Annotated[
        GroupAuthorization, Lax, pydantic.BeforeValidator(_read_group_authorization)
    ] = GroupAuthorization.NONE
    plain_group_names: bool = False
    on_unavailable: Annotated[OnUnavailable, Lax] = OnUnavailable.UNDECIDED
    may_assert_primary_names: bool = False
    mail_domains: Texts = ()
    sample: Text | None = None
    url: Text | None = None
    file: Text | None = None
    ldap: LdapModel | None = None


class RuleModel(ConfigModel):
    """One of `rules`."""

    rule: Text | None = None
    suffix: Text | None = None
    enabled: bool = True
    trusted: bool = False


class WayOptionsModel(ConfigModel):
    """What a way of `find_by` may say beside its name."""

    multiple: Literal["first"] | None = None
    legacy_subject_email: bool = False


class FileModel(ConfigModel):
    """The top of the file; its parts are read one by one."""

    primary: object = None
    domains: Annotated[tuple[object, ...], Lax] = ()
    ambiguity: Annotated[Ambiguity, Lax] = Ambiguity.FIRST
