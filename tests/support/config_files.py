"""Folders of configuration for tests: every file that the good examples name, and the mistakes of `tests/data/config`.

A file of a mistake ends in what it is expected to bring, one comment each: `#! error FILE:LINE: path: problem (hint)`
or `#! warning ...`; a file without such a line is expected to be good.
"""

from collections.abc import Iterable
from pathlib import Path

from directory_assistance.errors import Problem
from tests.support.pki import BEGIN, END, NOW, Authority

__all__ = ["MISTAKES", "expected_problems", "lay_files", "printed"]

MISTAKES = Path(__file__).parents[1] / "data" / "config"
"""One small wrong file for each mistake, named after it; a folder for each of the two files."""

_MARK = "#! "

GOOD_DIRECTORY_ASSISTANCE = "primary: {domain: Renovations, url: 'sqlite:///directory.db'}\n"


def lay_files(folder: Path) -> None:
    """Write what the files of configuration name: certificates, keys, lists, secrets, a small other file."""
    root = Authority.root(now=NOW, not_before=BEGIN, not_after=END)
    issuing = root.issue_authority()
    server = root.issue_server("localhost", not_before=BEGIN, not_after=END)
    texts = {
        "corp-root.pem": root.pem,
        "corp-issuing.pem": issuing.pem,
        "corp-root.crl": root.crl().pem,
        "corp-issuing.crl": issuing.crl().pem,
        "server.pem": server.pem,
        "airius-ca.pem": root.pem,
        "corp-ca.pem": root.pem,
        "client-ca.pem": root.pem,
        "partner-ca.pem": Authority.root(
            "CN=Partner CA,O=Partners", now=NOW, not_before=BEGIN, not_after=END
        ).pem,
        "sample.pem": issuing.issue("CN=Sample,O=Airius").pem,
        "empty.pem": "",
        "text.pem": "no certificate\n",
        "partners.ldif": "version: 1\n",
        "directory-assistance.yaml": GOOD_DIRECTORY_ASSISTANCE,
        "open.secret": "everybody reads it\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    (folder / "open.secret").chmod(0o644)
    secrets = {
        "server.key": server.key_pem,
        "other.key": root.issue_server("localhost", not_before=BEGIN, not_after=END).key_pem,
        "edge.secret": "the secret of the edge\n",
        "airius.password": "the password of Airius\n",
        "corp.password": "the password of Corp\n",
        "empty.secret": "\n",
    }
    for name, text in secrets.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o600)
    for file in (MISTAKES / "beside").iterdir():
        (folder / file.name).write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
    (folder / "lists").mkdir()
    (folder / "outside.pem").symlink_to(Path("/etc/hostname"))


def printed(problems: Iterable[Problem]) -> list[str]:
    """Print problems as the files of mistakes expect them: with the file's name alone."""
    lines = []
    for problem in problems:
        kind = "warning" if problem.warning else "error"
        lines.append(f"{kind} {Path(problem.file).name}{str(problem).removeprefix(problem.file)}")
    return lines


def expected_problems(file: Path) -> list[str]:
    """Return what a file of a mistake says it brings."""
    lines = file.read_text(encoding="utf-8").splitlines()
    return [line.removeprefix(_MARK) for line in lines if line.startswith(_MARK)]
