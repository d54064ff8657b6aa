"""`/auth` on a warm and on a cold certificate against the bare ASGI server, in one run.

Prints requests per second (median of several rounds, the servers in turn, so that a drifting machine hits
both) and the ratio, which is the figure to quote: these numbers are ratios of one run on one machine, never
absolute. Warm: one certificate, its verdict cached. Cold: every request another certificate of another
person, so each takes all eight steps (path of two signatures, two revocation lists, SQLite, groups, ACL); the
server is restarted before each cold round.

Needs wrk. Usage: python benchmarks/auth.py [--people N] [--seconds S] [--rounds N]
"""

import argparse
import base64
import json
import os
import platform
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from authsvc.sample_world import pki
from authsvc.store.certificates import CertificateRecord
from authsvc.store.migrate import migrate
from authsvc.store.people import create_person
from authsvc.store.records import PersonRecord
from authsvc.store.schema import open_change, open_engine
from directory_assistance.dn import read_name

_ROOT = Path(__file__).resolve().parent.parent

_CONFIGURATION = """\
directory_assistance: directory-assistance.yaml
api: {{listen: "127.0.0.1:{api}"}}
front_ends:
  - {{name: edge, dialect: rfc9440, listen: "127.0.0.1:{edge}", peers: [127.0.0.1/32]}}
trust:
  anchors: [{{name: corp, file: root.pem}}]
  intermediates: [issuing.pem]
  revocation: {{mode: require, crls: [root.crl, issuing.crl]}}
audit: {{file: audit.jsonl}}
"""
_DIRECTORY = "primary: {domain: Example, url: 'sqlite:///directory.db'}\n"
_DECLARATION = """\
groups: [{name: Everybody, type: multi, members: ["*/Example"]}]
databases:
  - {name: wiki, acl: [{name: Everybody, type: person group, level: Reader}]}
"""
_SCRIPT = """\
local certificates = {}
for line in io.lines("%s") do certificates[#certificates + 1] = ":" .. line .. ":" end
local next = 0
request = function()
  next = next %% #certificates + 1
  wrk.headers["Client-Cert"] = certificates[next]
  return wrk.format("GET", "/auth?database=wiki&level=reader")
end
done = function(summary, latency)
  io.write(string.format("RESULT %%d %%d %%d %%d %%d\\n", summary.requests, summary.duration,
    summary.errors.status + summary.errors.connect + summary.errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
"""


def free_port() -> int:
    """Return a port of loopback that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def lay(folder: Path, people: int, ports: dict[str, int]) -> None:
    """Write configuration, certificates and a directory of `people` people; `warm.txt` and `cold.txt` list DER."""
    now = datetime.now(UTC)
    root = pki.Authority.root("CN=Root,O=Example", now=now)
    issuing = root.issue_authority("CN=Issuing,O=Example")
    for name, authority in (("root", root), ("issuing", issuing)):
        (folder / f"{name}.pem").write_text(authority.pem)
        (folder / f"{name}.crl").write_text(authority.crl(revoked=range(1, 1000)).pem)
    (folder / "authsvc.yaml").write_text(_CONFIGURATION.format(**ports))
    (folder / "directory-assistance.yaml").write_text(_DIRECTORY)
    (folder / "declaration.yaml").write_text(_DECLARATION)
    key = pki.generate_key()
    lines = []
    engine = open_engine(f"sqlite:///{folder / 'directory.db'}")
    migrate(engine)
    with open_change(engine, actor="benchmark", now=now) as change:
        for number in range(people):
            der = issuing.issue(f"CN=Person {number},O=Example", key=key).der
            lines.append(base64.b64encode(der).decode())
            create_person(
                change,
                PersonRecord.make(
                    names=[read_name(f"Person {number}/Example")],
                    certificates=[CertificateRecord.from_der(der)],
                ),
            )
    engine.dispose()
    (folder / "warm.txt").write_text(lines[0] + "\n")
    (folder / "cold.txt").write_text("\n".join(lines) + "\n")
    _authsvc(folder, "apply", str(folder / "declaration.yaml"), "--yes")


def _authsvc(folder: Path, *arguments: str) -> None:
    command = [sys.executable, "-m", "authsvc", "--config", str(folder / "authsvc.yaml"), *arguments]
    subprocess.run(command, check=True, capture_output=True)


def start(command: list[str], port: int, log: Path) -> "subprocess.Popen[bytes]":
    """Start a server, and return when it listens."""
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, cwd=_ROOT / "benchmarks")
    end = time.monotonic() + 30
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return process
        if process.poll() is not None:
            raise SystemExit(f"{command} ended: {log.read_text()}")
    raise SystemExit(f"{command} does not listen")


def wrk(port: int, certificates: Path, seconds: float, connections: int) -> dict[str, float]:
    """Ask about the certificates of a file in turn; return the rate and the latencies."""
    script = certificates.with_suffix(".lua")
    script.write_text(_SCRIPT % certificates)
    command = [
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{seconds:g}s",
        "-s",
        str(script),
        f"http://127.0.0.1:{port}",
    ]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = re.search(r"RESULT (\d+) (\d+) (\d+) (\d+) (\d+)", printed)
    if found is None:
        raise SystemExit(f"wrk printed {printed}")
    requests, microseconds, errors, middle, tail = map(int, found.groups())
    if errors:
        raise SystemExit(f"{errors} of {requests} requests were not answered 200: no figure")
    return {
        "rate": requests / microseconds * 1e6,
        "requests": requests,
        "p50_ms": middle / 1e3,
        "p99_ms": tail / 1e3,
    }


def _measure(
    folder: Path, ports: dict[str, int], seconds: float, rounds: int, people: int
) -> dict[str, object]:
    serve = [sys.executable, "-m", "authsvc", "--config", str(folder / "authsvc.yaml"), "serve"]
    bare = [
        sys.executable, "-m", "uvicorn", "bare:application", "--port", str(ports["bare"]), "--no-access-log",
        "--no-proxy-headers", "--no-server-header", "--loop", "uvloop", "--http", "httptools", "--log-level", "warning",
    ]  # fmt: skip
    figures: dict[str, list[dict[str, float]]] = {"bare": [], "warm": [], "cold": []}
    bare_server = start(bare, ports["bare"], folder / "bare.log")
    try:
        for _ in range(rounds):
            ours = start(serve, ports["edge"], folder / "authsvc.log")
            try:
                # Short enough that no certificate comes twice: a second time would be warm.
                cold = wrk(ports["edge"], folder / "cold.txt", min(seconds, 2), 16)
                if cold["requests"] > people:
                    raise SystemExit(
                        f"{cold['requests']:.0f} cold requests for {people} people: use --people"
                    )
                figures["cold"].append(cold)
                figures["bare"].append(wrk(ports["bare"], folder / "warm.txt", seconds, 16))
                figures["warm"].append(wrk(ports["edge"], folder / "warm.txt", seconds, 16))
            finally:
                ours.terminate()
                ours.wait()
    finally:
        bare_server.terminate()
        bare_server.wait()
    middle = {
        name: {
            key: round(statistics.median(one[key] for one in runs), 3) for key in ("rate", "p50_ms", "p99_ms")
        }
        for name, runs in figures.items()
    }
    spread = {name: [round(one["rate"]) for one in runs] for name, runs in figures.items()}
    pairs = zip(figures["bare"], figures["warm"], figures["cold"], strict=True)
    ratios = [(warm["rate"] / base["rate"], cold["rate"] / base["rate"]) for base, warm, cold in pairs]
    return {
        "median": middle,
        "rates": spread,
        "warm_to_bare": round(statistics.median(ratio[0] for ratio in ratios), 3),
        "cold_to_bare": round(statistics.median(ratio[1] for ratio in ratios), 4),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=8000)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    ports = {"api": free_port(), "edge": free_port(), "bare": free_port()}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lay(folder, options.people, ports)
        result = _measure(folder, ports, options.seconds, options.rounds, options.people)
    result["conditions"] = {
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "people": options.people,
        "connections": 16,
        "load": "wrk on the same cores",
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
