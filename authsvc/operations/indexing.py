"""Indexing a large revocation list in a process of its own: `python -m authsvc.operations.indexing LIST INDEX LIMIT`.

Reading a million entries holds Python's interpreter lock for a second; in this process that second is nobody's. What
lives here: the process, seen from inside and from outside. What does not: what an index is (`trust/crl.py`).

Invariants: the list is read once, and what is printed is the digest of what was read. Whatever goes wrong is a text for
the one who started the process; without a text it is a fault of this process, and the list is not used.
"""

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from authsvc.trust.anchors import TrustMaterialError
from authsvc.trust.crl import index_crl

__all__ = ["index_in_process", "main"]

_SECONDS: Final = 120.0
"""How long indexing may take: a million entries take three."""

_NICE: Final = 10
"""How much less urgent this work is than a request."""

_UNUSABLE: Final = 3
"""The exit code for a list that cannot be used, whose reason is printed."""


def index_in_process(list_file: Path, index_file: Path, *, maximum_octets: int) -> str:
    """Index a list in another process; blocking.

    Args:
        list_file: the list.
        index_file: where the index goes.
        maximum_octets: of the list.

    Returns:
        The SHA-256 of the list's octets, hexadecimal.

    Raises:
        TrustMaterialError: the list cannot be used.

    """
    command = [
        sys.executable,
        "-P",
        "-m",
        "authsvc.operations.indexing",
    ]  # -P: no module of the working directory
    command += [str(list_file), str(index_file), str(maximum_octets)]
    try:
        done = subprocess.run(  # noqa: S603 - our own module, with names of files
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TrustMaterialError(f"the process that indexes lists did not end: {error}") from error
    text = done.stdout.decode("utf-8", "replace").strip()
    if done.returncode == 0 and len(text) == 64:
        return text
    if done.returncode == _UNUSABLE and text:
        raise TrustMaterialError(text)
    raise TrustMaterialError(f"the process that indexes lists failed (exit code {done.returncode})")


def main(arguments: list[str]) -> int:
    """Index one list, print its digest, or why it cannot be used."""
    list_file, index_file, limit = Path(arguments[0]), Path(arguments[1]), int(arguments[2])
    os.nice(_NICE)
    try:
        with list_file.open("rb") as file:
            octets = file.read(limit + 1)
        if len(octets) > limit:
            raise TrustMaterialError(f"too large: more than {limit} octets")  # noqa: TRY301 - one way out for all
        index_file.write_bytes(index_crl(octets))
    except TrustMaterialError as error:
        print(error)  # noqa: T201 - the answer of this process
        return _UNUSABLE
    except OSError as error:
        print(f"cannot be read: {error.strerror or error}")  # noqa: T201 - as above
        return _UNUSABLE
    print(hashlib.sha256(octets).hexdigest())  # noqa: T201 - as above
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
