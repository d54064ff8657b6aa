"""Runs a printed curl line as a person would, and reads what came back."""

import shlex
import subprocess
from dataclasses import dataclass
from urllib.parse import unquote

__all__ = ["CurlAnswer", "run_curl"]

_LONGEST_SECONDS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class CurlAnswer:
    """What curl printed: `status` is None where no HTTP answer came; header names are lower case."""

    exit_code: int
    status: int | None
    headers: dict[str, str]
    body: str

    @property
    def reason(self) -> str | None:
        """The reason code, if authsvc or nginx told one."""
        return self.headers.get("auth-reason") or None

    @property
    def identity(self) -> str | None:
        """The identity that authsvc answered, decoded; None where there is none."""
        return unquote(self.headers["remote-user"]) if self.headers.get("remote-user") else None

    @property
    def seen_by_application(self) -> dict[str, str]:
        """The identity headers that reached the application behind nginx, decoded; lower-case names."""
        lines = [
            line.partition(": ")
            for line in self.body.splitlines()
            if line.startswith(("Remote", "X-Ssl", "Client"))
        ]
        return {name.lower(): unquote(value) for name, _colon, value in lines}


def run_curl(line: str, *more: str) -> CurlAnswer:
    """Run a curl line (with `-s -i` in it) and further arguments."""
    done = subprocess.run(
        [*shlex.split(line), *more, "--max-time", str(_LONGEST_SECONDS)],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    head, _blank, body = done.stdout.replace("\r\n", "\n").partition("\n\n")
    first, *fields = head.splitlines() or [""]
    status = int(first.split()[1]) if first.startswith("HTTP/") else None
    pairs = [field.partition(":") for field in fields]
    headers: dict[str, str] = {}
    for name, _colon, value in pairs:
        key = name.strip().lower()
        assert key not in headers, f"header {key} came twice"
        headers[key] = value.strip()
    return CurlAnswer(exit_code=done.returncode, status=status, headers=headers, body=body)
