"""The models of `authsvc.yaml`: its keys, their types and their defaults (contract sections 1, 2, 4).

What lives here: the shape of the file. What does not: whether what it says makes sense (`config.py` and its
parts).

A key that the contract requires is None here and required by the reader, so that one gap hides no other
mistake.
"""

from datetime import timedelta
from typing import Annotated, Final, Literal

import pydantic

from authsvc.operations.ocsp_responders import NonceUse
from authsvc.presented.original_headers import OriginalKind, OriginalPart
from authsvc.settings import UnknownCertificate
from authsvc.trust.anchors import RevocationMode
from authsvc.trust.profile import LARGEST_RSA_BITS, MINIMUM_RSA_BITS
from directory_assistance.config_reading import ConfigModel, Duration, Lax, Text, Texts
from directory_assistance.errors import shorten

__all__ = [
    "DIALECTS_TO_COME",
    "AnchorModel",
    "ApiModel",
    "CrossCertificateModel",
    "DistributionPointsModel",
    "FetchModel",
    "FileModel",
    "FrontEndModel",
    "HeadersModel",
    "OcspModel",
    "RefreshModel",
    "ResponseCacheModel",
    "RevocationModel",
    "RouteModel",
    "TlsModel",
    "TrustModel",
]

DIALECTS_TO_COME: Final = frozenset(
    {"apache", "haproxy", "envoy", "traefik", "caddy", "aws-alb", "gcp", "azure", "cloudflare"}
)
"""Dialects of the contract that this version does not speak yet."""

_SMALLEST_HEADER_BUDGET = 512
_LARGEST_HEADER_BUDGET = 65_536
"""Bytes of identity headers: below, not even the names fit; above, no web server takes them."""


class TlsModel(ConfigModel):
    """`tls` of a listener."""

    certificate: Text | None = None
    key: Text | None = None


class ApiModel(ConfigModel):
    """`api`."""

    listen: Text | None = None
    tls: TlsModel | None = None


class HeadersModel(ConfigModel):
    """`headers` of a front end: other names for the dialect's fields."""

    certificate: Text | None = None
    chain: Text | None = None
    verify: Text | None = None


class ResponseCacheModel(ConfigModel):
    """`response_cache` of a front end."""

    max_age: Duration | None = None


class FrontEndModel(ConfigModel):
    """One of `front_ends`. `original_request` is None where the dialect's default counts."""

    name: Text | None = None
    dialect: Text | None = None
    listen: Text | None = None
    headers: HeadersModel = HeadersModel()
    original_request: Annotated[OriginalKind, Lax] | None = None
    original_headers: Annotated[tuple[Annotated[OriginalPart, Lax], ...], Lax] | None = None
    anonymous: bool = False
    peers: Texts | None = None
    secret_file: Text | None = None
    client_name: Text | None = None
    client_ca_file: Text | None = None
    tls: TlsModel | None = None
    insecure_plaintext: bool = False
    insecure_accept_expired: Duration = timedelta(0)
    response_cache: ResponseCacheModel | None = None


class DistributionPointsModel(ConfigModel):
    """`distribution_points`; empty for `off`."""

    hosts: Texts | None = None


def _read_no_points(value: object) -> object:
    if isinstance(value, str) and value != "off":
        raise ValueError(f"expected `off` or a mapping with `hosts`, found `{shorten(value)}`")
    return {} if isinstance(value, str) else value


_DistributionPoints = Annotated[DistributionPointsModel, pydantic.BeforeValidator(_read_no_points)]


class AnchorRevocationModel(ConfigModel):
    """`revocation` of one anchor; the word alone is short for the mode."""

    mode: Annotated[RevocationMode, Lax] | None = None
    distribution_points: _DistributionPoints | None = None


class FetchModel(ConfigModel):
    """`fetch`: what an exchange may cost, and whom it may reach."""

    timeout: Duration = timedelta(seconds=10)
    maximum_size: Text | int = "100MB"
    private_networks: Texts = ()
    ca_file: Text | None = None


class RefreshModel(ConfigModel):
    """`refresh`: how often a list is asked for."""

    minimum: Duration = timedelta(seconds=60)
    maximum: Duration = timedelta(hours=1)


class OcspModel(ConfigModel):
    """`ocsp`."""

    wait: Duration = timedelta(seconds=1)
    hosts: Texts = ()
    anchor_hosts: dict[str, Texts] = pydantic.Field(default_factory=dict)
    url: Text | None = None
    responder: Text | None = None
    nonce: Annotated[NonceUse, Lax] = NonceUse.SENT
    maximum_age: Duration = timedelta(hours=1)


def _read_mode(value: object) -> object:
    return {"mode": value} if isinstance(value, str) else value


def _read_off(value: object) -> object:
    if isinstance(value, str) and value != "off":
        raise ValueError(f"expected `off` or a mapping with `hosts` or `url`, found `{shorten(value)}`")
    return None if isinstance(value, str) else value


class AnchorModel(ConfigModel):
    """One of `trust.anchors`."""

    name: Text | None = None
    file: Text | None = None
    key_pins: Texts = ()
    not_before: Text | None = None
    not_after: Text | None = None
    permitted_names: Texts | None = None
    minimum_rsa_bits: Annotated[int, pydantic.Field(ge=MINIMUM_RSA_BITS, le=LARGEST_RSA_BITS)] = (
        MINIMUM_RSA_BITS
    )
    minimum_curve_bits: Literal[256, 384, 521] = 256
    minimum_hash_bits: Literal[256, 384, 512] = 256
    front_ends: Texts | None = None
    policies: Texts = ()
    purposes: Texts | None = None
    eku: Literal["required", "optional"] = "required"
    allow_any_eku: bool = False
    revocation: Annotated[AnchorRevocationModel, pydantic.BeforeValidator(_read_mode)] = (
        AnchorRevocationModel()
    )


class CrossCertificateModel(AnchorModel):
    """One of `trust.cross_certificates`: an anchor with limits that must be there."""

    domains: Texts | None = None


class RevocationModel(ConfigModel):
    """`trust.revocation`."""

    mode: Annotated[RevocationMode, Lax] = RevocationMode.REQUIRE
    crls: Texts = ()
    distribution_points: _DistributionPoints = DistributionPointsModel()
    fetch: FetchModel = FetchModel()
    refresh: RefreshModel = RefreshModel()
    grace: Duration = timedelta(0)
    cache: Text = "var/revocation"
    ocsp: Annotated[OcspModel | None, pydantic.BeforeValidator(_read_off)] = None


class TrustModel(ConfigModel):
    """`trust`; anchors and cross-certificates are read one by one."""

    anchors: Annotated[tuple[object, ...], Lax] = ()
    cross_certificates: Annotated[tuple[object, ...], Lax] = ()
    intermediates: Texts = ()
    revocation: RevocationModel = RevocationModel()
    clock_skew: Duration = timedelta(0)


def _read_one_or_several(value: object) -> object:
    return [value] if isinstance(value, str) else value


_OneOrSeveral = Annotated[tuple[Text, ...], Lax, pydantic.BeforeValidator(_read_one_or_several)]


class RouteModel(ConfigModel):
    """One of `routes`."""

    host: Text = "*"
    path: Text | None = None
    methods: Texts | None = None
    database: Text | None = None
    level: Text | None = None
    privilege: _OneOrSeveral = ()
    role: _OneOrSeveral = ()
    identity_only: bool = False


class AuditModel(ConfigModel):
    """`audit`."""

    file: Text = "audit.jsonl"


class CacheModel(ConfigModel):
    """`cache`."""

    time: Duration = timedelta(seconds=60)


class FileModel(ConfigModel):
    """The top of the file; its larger parts are read one by one."""

    directory_assistance: Text | None = None
    api: object = None
    front_ends: Annotated[tuple[object, ...], Lax] = ()
    trust: object = None
    unknown_certificate: Annotated[UnknownCertificate, Lax] = UnknownCertificate.DENY
    routes: Annotated[tuple[object, ...], Lax] = ()
    audit: AuditModel = AuditModel()
    deny_access: Texts = ()
    full_access_administrators: Texts = ()
    expose_reasons: bool = False
    header_budget: Annotated[int, pydantic.Field(ge=_SMALLEST_HEADER_BUDGET, le=_LARGEST_HEADER_BUDGET)] = (
        3_500
    )
    identity_headers: dict[str, Text] = pydantic.Field(default_factory=dict)
    cache: CacheModel = CacheModel()
