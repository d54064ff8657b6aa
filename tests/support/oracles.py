"""Two other implementations of RFC 5280, asked the same questions: `openssl verify` and pyhanko-certvalidator.

What lives here: running them on batch cases. What does not: who is right (`fixtures/pkits/README.md`,
`tests/differences.md`).
"""

import contextlib
import json
import select
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tests.support.batch import BatchCase

__all__ = ["Opinion", "PyhankoOracle", "ask_openssl", "openssl_arguments", "pyhanko_oracle"]

_OPENSSL_SECONDS = 20.0
_PYHANKO_SECONDS = 10.0
"""Until an oracle that says nothing is taken to hang: an ordinary case takes ten milliseconds."""

ANY_POLICY = "2.5.29.32.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """What an oracle says: valid or not, and its own words about it; `hangs` when it said nothing in time."""

    valid: bool
    detail: str
    hangs: bool = False


def openssl_arguments(case: BatchCase) -> list[str]:
    """Return the options of `openssl verify` for a case, but for the files.

    `-partial_chain`: a trust anchor is one, be it self-signed or not. No `-x509_strict`: it refuses certificates that
    were issued carelessly, which RFC 5280 section 6 does not ask of a relying party.
    """
    at = datetime.fromisoformat(case["at"])
    arguments = ["-partial_chain", "-no-CApath", "-no-CAstore", "-attime", str(int(at.timestamp()))]
    if case["profile"] == "client":
        arguments += ["-purpose", "sslclient"]
    if case["revocation"] == "require":
        arguments += ["-crl_check_all", "-extended_crl", "-use_deltas"]
    arguments.append("-policy_check")
    for policy in case["policies"] or [ANY_POLICY]:
        arguments += ["-policy", policy]
    if case["explicit_policy"]:
        arguments.append("-explicit_policy")
    if case["inhibit_policy_mapping"]:
        arguments.append("-inhibit_map")
    if case["inhibit_any_policy"]:
        arguments.append("-inhibit_any")
    return arguments


def ask_openssl(case: BatchCase, folder: Path) -> Opinion:
    """Ask the command; the folder takes its files and may be used again."""
    arguments = ["openssl", "verify", *openssl_arguments(case)]
    files: tuple[tuple[str, Sequence[str]], ...] = (
        ("-CAfile", case["anchors"]),
        ("-untrusted", case["intermediates"]),
        ("-CRLfile", case["crls"]),
    )
    for option, pems in files:
        if pems:
            file = folder / f"{option[1:]}.pem"
            file.write_text("".join(pems))
            arguments += [option, str(file)]
    leaf = folder / "certificate.pem"
    leaf.write_text(case["certificate"])
    try:
        ended = subprocess.run(
            [*arguments, str(leaf)], capture_output=True, text=True, timeout=_OPENSSL_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return Opinion(valid=False, detail="hangs", hangs=True)
    # it may complain and yet exit with 0 if it cannot read a file: only its OK is one
    valid = ended.returncode == 0 and ended.stdout.strip().endswith(": OK")
    detail = " | ".join((ended.stdout + ended.stderr).split("\n"))
    return Opinion(valid=valid, detail="" if valid else detail)


class PyhankoOracle:
    """The process of `pyhanko_oracle.py`, started again where it hangs. Use `pyhanko_oracle()`."""

    def __init__(self) -> None:
        self._process = self._start()

    @staticmethod
    def _start() -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.support.pyhanko_oracle"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )

    def ask(self, case: BatchCase) -> Opinion:
        """Ask about one case."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(case) + "\n")
        process.stdin.flush()
        if not select.select([process.stdout], [], [], _PYHANKO_SECONDS)[0]:
            self.close()
            self._process = self._start()
            return Opinion(valid=False, detail="hangs", hangs=True)
        answer = json.loads(process.stdout.readline())
        return Opinion(valid=answer["valid"], detail=answer["detail"])

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()


@contextlib.contextmanager
def pyhanko_oracle() -> Iterator[PyhankoOracle]:
    """Start the process, and end it."""
    oracle = PyhankoOracle()
    try:
        yield oracle
    finally:
        oracle.close()
