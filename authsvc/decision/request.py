"""What the pipeline is asked: a presentation, the front end it came by, and what it wants.

Made by the edge from a request (web) or from arguments (command line); the pipeline sees no HTTP.
"""

from dataclasses import dataclass
from datetime import timedelta

from authsvc.access.databases import Target
from authsvc.presented.presentation import Presentation

__all__ = ["DecisionRequest", "FrontEndPolicy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontEndPolicy:
    """What the pipeline must know of a front end.

    `anonymous`: may a request without a certificate be Anonymous? `accept_expired`: grace after notAfter
    (`insecure_accept_expired`), zero for none.
    """

    name: str
    anonymous: bool = False
    accept_expired: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRequest:
    """One question to the pipeline.

    `over_tls`: whether the original request arrived over TLS, None where nobody says (counts as plain unless
    a certificate is presented). `https_url`: where to send a client that must use TLS, empty if unknown.
    """

    presentation: Presentation
    front_end: FrontEndPolicy
    target: Target
    over_tls: bool | None = None
    https_url: str = ""
