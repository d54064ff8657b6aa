"""A real OpenLDAP server on loopback, for `demo` and for tests: made from an LDIF, stopped by its process id.

What lives here: the configuration of one `slapd` in a folder of its own, loading, starting, pausing, killing
and restarting it. What does not: the content (the caller's LDIF), and any use of the server.

Invariants:

* The server listens on 127.0.0.1 and on a socket inside its folder, nowhere else.
* `start` returns when the server answers, or raises; nothing is left running when it raises.
* A port is kept over restarts, so that clients may come back to it.

Not for production: the data may be lost when the machine loses power.
"""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

__all__ = ["SlapdError", "SlapdServer", "SlapdTls"]

_SCHEMAS = Path("/etc/ldap/schema")
_MODULES = Path("/usr/lib/ldap")
_PROGRAM_FOLDERS = "/usr/sbin:/usr/local/sbin:/sbin"
"""Where Debian has `slapd`; the search path of an ordinary login lacks it."""

_START_SECONDS = 20.0
"""How long a server may take to answer: it needs a fifth of a second, a loaded machine ten times that."""

_STOP_SECONDS = 10.0
"""How long a server may take to end when asked; then it is killed."""

_POLL_SECONDS = 0.01

_START_ATTEMPTS = 5
"""Another program may take the free port between our finding it and the server's binding it."""

_LONGEST_SOCKET_PATH = 107
"""Octets of a socket's path in Linux (`sun_path` without its end)."""

_ANONYMOUS_BIND = bytes.fromhex("300c020101600702010304008000")
"""LDAPMessage 1, BindRequest, version 3, no name, no password (RFC 4511 section 4.2)."""

_EXTRA_SCHEMA = r"""
attributetype ( 1.3.6.1.4.1.4203.666.11.71.1 NAME 'notesDN'
  DESC 'Notes distinguished name, LDAP syntax'
  EQUALITY caseIgnoreMatch SUBSTR caseIgnoreSubstringsMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.3.6.1.4.1.4203.666.11.71.2 NAME 'nsAccountLock'
  DESC 'as 389-ds has it'
  EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.3.6.1.4.1.4203.666.11.71.3 NAME 'userPrincipalName'
  DESC 'as Active Directory has it'
  EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.3.6.1.4.1.4203.666.11.71.4 NAME 'objectSid'
  DESC 'as Active Directory has it'
  EQUALITY octetStringMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 )
attributetype ( 1.3.6.1.4.1.4203.666.11.71.5 NAME 'altSecurityIdentities'
  DESC 'as Active Directory has it'
  EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributetype ( 1.3.6.1.4.1.4203.666.11.71.6 NAME 'userAccountControl'
  DESC 'as Active Directory has it'
  EQUALITY integerMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 )
"""
"""Attributes that directories of other kinds have, under OpenLDAP's arc for experiments."""


class SlapdError(Exception):
    """The server could not be made or started; the text says why, with the last lines of its log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlapdTls:
    """The server's certificate and key, and the authorities whose client certificates it accepts (PEM files).

    `reader_subject`: an extended regular expression on the LDAP form of a client certificate's subject;
    whoever authenticates by SASL EXTERNAL with such a certificate is the reader.
    """

    certificate: Path
    key: Path
    client_ca: Path | None = None
    reader_subject: str = ""


class SlapdServer:
    """One server in one folder.

    Args:
        folder: where configuration, data, log and socket stand; made if missing, readable by the owner only.
        ldif: the content (RFC 2849), the entry of the suffix included; loaded once, when the folder is new.
        suffix: the DN of the naming context, RFC 4514.
        reader_password: of `reader_dn`, which may read everything; the same as when the folder was new. A
            random one if not given, so that a second server in the same folder has to give it.
        anonymous_may_read: whether a bind without a name may read; otherwise only `reader_dn` may.
        size_limit: entries in one answer at most, whatever the client asks.
        tls: certificate for StartTLS and `ldaps_url`; without it there is neither.

    """

    def __init__(  # noqa: PLR0913 - each argument is one property of the server
        self,
        folder: Path,
        *,
        ldif: str,
        suffix: str,
        reader_password: str | None = None,
        anonymous_may_read: bool = False,
        size_limit: int = 500,
        tls: SlapdTls | None = None,
    ) -> None:
        self.folder = folder.resolve()
        self.suffix = suffix
        self.reader_dn = f"cn=authsvc,{suffix}"
        self.reader_password = reader_password or secrets.token_urlsafe(16)
        self.admin_dn = f"cn=admin,{suffix}"
        self.admin_password = secrets.token_urlsafe(16)
        self._ldif = ldif
        self._anonymous_may_read = anonymous_may_read
        self._size_limit = size_limit
        self._tls = tls
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0
        self._tls_port = 0

    @property
    def url(self) -> str:
        """`ldap://127.0.0.1:PORT`; known once started."""
        return f"ldap://127.0.0.1:{self._port}"

    @property
    def ldaps_url(self) -> str:
        """`ldaps://127.0.0.1:PORT`; only with `tls`."""
        return f"ldaps://127.0.0.1:{self._tls_port}"

    @property
    def ldapi_url(self) -> str:
        """`ldapi://` and the percent-encoded path of the server's socket."""
        return f"ldapi://{quote(str(self._socket_path), safe='')}"

    @property
    def pid(self) -> int | None:
        """The process id, None when not running."""
        return None if self._process is None else self._process.pid

    @property
    def _socket_path(self) -> Path:
        return self.folder / "ldapi"

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    def start(self) -> None:
        """Start the server, load it first if its folder is new, and return when it answers.

        Raises:
            SlapdError: a program is missing, the LDIF is not accepted, or the server does not come up.

        """
        assert self._process is None, "the server is already running"
        slapd = _find_program("slapd")
        slapadd = _find_program("slapadd")
        if len(os.fsencode(self._socket_path)) > _LONGEST_SOCKET_PATH:
            raise SlapdError(f"the path of the socket `{self._socket_path}` is too long for this system")
        self._prepare()
        if not (self.folder / "db" / "data.mdb").exists():
            self._load(slapadd)
        keep_port = self._port != 0
        for attempt in range(1, _START_ATTEMPTS + 1):
            if not keep_port:
                self._port, self._tls_port = _free_ports()
            try:
                self._run(slapd)
            except SlapdError:
                if keep_port:
                    raise
                self._port = 0
                if attempt == _START_ATTEMPTS:
                    raise
            else:
                return

    def stop(self) -> None:
        """End the server and wait for it; nothing happens when it is not running."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGCONT)  # a paused process would not see the next signal
        self._process.terminate()
        try:
            self._process.wait(timeout=_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def kill(self) -> None:
        """End the server at once, as a crash would; nothing happens when it is not running."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        self._process = None

    def pause(self) -> None:
        """Make the server silent without closing anything, as a hung machine is; return when it is."""
        assert self._process is not None, "the server is not running"
        self._process.send_signal(signal.SIGSTOP)
        # Its threads go on for a moment. An end is waited for too, lest we wait for ever, but not collected.
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def resume(self) -> None:
        """Let a paused server go on."""
        assert self._process is not None, "the server is not running"
        self._process.send_signal(signal.SIGCONT)

    def _prepare(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self.folder / "db").mkdir(mode=0o700, exist_ok=True)
        self._write("extra.schema", _EXTRA_SCHEMA)
        self._write("slapd.conf", self._configuration())

    def _load(self, slapadd: str) -> None:
        self._write("content.ldif", f"{self._ldif.rstrip()}\n\n{self._reader_entry()}")
        loaded = subprocess.run(  # noqa: S603 - the program found above, our own arguments
            [slapadd, "-q", "-f", "slapd.conf", "-b", self.suffix, "-l", "content.ldif"],
            cwd=self.folder,
            capture_output=True,
            check=False,
        )
        if loaded.returncode != 0:
            shutil.rmtree(self.folder / "db")  # half a directory must not look like a whole one
            raise SlapdError(f"`slapadd` did not accept the entries: {_last_lines(loaded.stderr)}")

    def _run(self, slapd: str) -> None:
        urls = [f"{self.url}/", self.ldapi_url]
        if self._tls is not None:
            urls.append(f"{self.ldaps_url}/")
        log = self.folder / "log"
        with contextlib.ExitStack() as on_failure:
            with log.open("wb") as log_file:
                process = subprocess.Popen(  # noqa: S603 - as above
                    [slapd, "-d", "0", "-f", "slapd.conf", "-h", " ".join(urls)],  # -d: stay a child of ours
                    cwd=self.folder,
                    stdin=subprocess.DEVNULL,
                    stdout=log_file,
                    stderr=subprocess.STDOUT,
                    process_group=0,  # Ctrl-C is for whoever started it, who then stops it in its turn
                )
            on_failure.callback(process.wait)
            on_failure.callback(process.kill)
            deadline = time.monotonic() + _START_SECONDS
            while not _answers(self._socket_path):
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=_POLL_SECONDS)
                    raise SlapdError(f"`slapd` ended at once: {_last_lines(log.read_bytes())}")
                if time.monotonic() > deadline:
                    raise SlapdError(f"`slapd` did not answer within {_START_SECONDS:.0f} s")
            on_failure.pop_all()
        self._process = process

    def _write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.touch(mode=0o600)  # passwords stand in it
        path.write_text(text, encoding="utf-8")

    def _reader_entry(self) -> str:
        return (
            f"dn: {self.reader_dn}\n"
            "objectClass: organizationalRole\n"
            "objectClass: simpleSecurityObject\n"
            "cn: authsvc\n"
            f"userPassword: {self.reader_password}\n"
        )

    def _configuration(self) -> str:
        lines = [f"include {_SCHEMAS}/{name}.schema" for name in ("core", "cosine", "inetorgperson")]
        lines += [
            f'include "{self.folder}/extra.schema"',
            f"modulepath {_MODULES}",
            "moduleload back_mdb",
            "moduleload ppolicy",  # knows pwdAccountLockedTime
            "moduleload syncprov",  # tells changes (RFC 4533)
            f"sizelimit {self._size_limit}",
            "threads 4",
        ]
        if self._tls is not None:
            lines += [
                f'TLSCertificateFile "{self._tls.certificate}"',
                f'TLSCertificateKeyFile "{self._tls.key}"',
            ]
            if self._tls.client_ca is not None:
                lines += [f'TLSCACertificateFile "{self._tls.client_ca}"', "TLSVerifyClient allow"]
            if self._tls.reader_subject:
                lines.append(f'authz-regexp "{self._tls.reader_subject}" "{self.reader_dn}"')
        anonymous = "read" if self._anonymous_may_read else "auth"
        lines += [
            "database mdb",
            f'suffix "{self.suffix}"',
            f'rootdn "{self.admin_dn}"',
            f"rootpw {self.admin_password}",
            f'directory "{self.folder}/db"',
            "maxsize 1073741824",  # octets of address space, not of disk
            "dbnosync",  # see the module: this is no place for data that matters
            "index objectClass,cn,uid,mail,member,uniqueMember,notesDN,userPrincipalName eq",
            "index objectSid,altSecurityIdentities,userCertificate eq",
            "index entryCSN,entryUUID eq",
            "access to attrs=userPassword by anonymous auth by * none",
            f'access to * by dn.exact="{self.reader_dn}" read by anonymous {anonymous} by * none',
            "overlay syncprov",
        ]
        return "\n".join(lines) + "\n"


def _find_program(name: str) -> str:
    found = shutil.which(name) or shutil.which(name, path=_PROGRAM_FOLDERS)
    if found is None:
        raise SlapdError(f"`{name}` is not installed: it comes with the Debian package `slapd`")
    return found


def _free_ports() -> tuple[int, int]:
    """Return two ports of 127.0.0.1 that were free a moment ago."""
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        return first.getsockname()[1], second.getsockname()[1]


def _answers(path: Path) -> bool:
    """Whether the server that made the socket answers a bind; a port might be another program's."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        probe.connect(str(path))
        probe.sendall(_ANONYMOUS_BIND)
        return bool(probe.recv(1))
    return False


def _last_lines(log: bytes) -> str:
    lines = log.decode("utf-8", "replace").strip().splitlines()
    return ": ".join(lines[-3:]) or "it said nothing"
