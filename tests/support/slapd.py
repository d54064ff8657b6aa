"""A real slapd for tests, and LDIF written for it."""

import base64
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from authsvc.sample_world.slapd import SlapdError, SlapdServer, SlapdTls

__all__ = [
    "SUFFIX",
    "SlapdError",
    "SlapdServer",
    "SlapdTls",
    "Value",
    "change",
    "entries_ldif",
    "ldif",
    "serve",
]

SUFFIX = "o=airius.com"

_SAFE = re.compile(rb"[\x21-\x39\x3b\x3d-\x7e][\x20-\x7e]*(?<! )", re.ASCII)
"""SAFE-STRING of RFC 2849, without a blank at the end."""

Value = str | bytes


def ldif(*entries: tuple[str, Mapping[str, Sequence[Value]]]) -> str:
    """Return the LDIF of entries, each a DN and its attributes, below an entry for `SUFFIX`."""
    base = (SUFFIX, {"objectClass": ["organization"], "o": [SUFFIX.partition("=")[2]]})
    return entries_ldif(base, *entries)


def entries_ldif(*entries: tuple[str, Mapping[str, Sequence[Value]]]) -> str:
    """Return the LDIF of entries, each a DN and its attributes."""
    return "\n".join(_entry(dn, attributes) for dn, attributes in entries)


def _entry(dn: str, attributes: Mapping[str, Sequence[Value]]) -> str:
    lines = [_line("dn", dn)]
    lines += [_line(name, value) for name, values in attributes.items() for value in values]
    return "\n".join(lines) + "\n"


def _line(name: str, value: Value) -> str:
    octets = value if isinstance(value, bytes) else value.encode()
    if _SAFE.fullmatch(octets):
        return f"{name}: {octets.decode()}"
    return f"{name}:: {base64.b64encode(octets).decode()}"


def serve(folder: Path, content: str, **options: object) -> SlapdServer:
    """Return a server for this content, to be started."""
    return SlapdServer(folder, ldif=content, suffix=SUFFIX, **options)  # type: ignore[arg-type]  # one deviation, by name


def change(server: SlapdServer, text: str) -> None:
    """Change entries as the administrator; `text` is an LDIF of changes."""
    subprocess.run(
        ["ldapmodify", "-x", "-H", server.ldapi_url, "-D", server.admin_dn, "-w", server.admin_password],
        input=text.encode(),
        check=True,
        capture_output=True,
    )
