"""A real Active Directory for tests: a domain controller of Samba, made from an LDIF.

What lives here: the configuration of one `samba`, provisioning, loading, starting, pausing, killing and restarting
it. What does not: the content (the caller's LDIF).

Invariants:

* It listens on one loopback address, nowhere else. The ports of a domain controller are fixed (389, 636), so each
  server has an address of its own, and several run side by side.
* It offers LDAP and nothing else of a domain controller; the Samba of the machine, if there is one, is not touched.
* Everything stands in its folder.

Ports below 1024 and the owners of files make it need root. The data may be lost when the machine loses power.
"""

import base64
import contextlib
import random
import secrets
import socket
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from tests.support.pki import Authority
from tests.support.processes import Server, ServerError, ServerProcess, find_program, run_to_end

__all__ = ["SambaServer"]

_REALM = "AIRIUS.TEST"
_DOMAIN = "AIRIUS"

_PORTS = (389, 636, 3268, 3269)

_RESERVED_PORT = 38_900
"""Whoever has this port of an address may use the address: it is bound, and nobody listens."""

_ANONYMOUS_BIND = bytes.fromhex("300c020101600702010304008000")
"""LDAPMessage 1, BindRequest, version 3, no name, no password (RFC 4511 section 4.2)."""

_CONFIGURATION = """[global]
workgroup = {domain}
realm = {realm}
netbios name = DC1
server role = active directory domain controller
server services = ldap
interfaces = {address}/8
bind interfaces only = yes
disable netbios = yes
ldap server require strong auth = no
tls keyfile = {folder}/server.key
tls certfile = {folder}/server.pem
tls cafile = {folder}/ca.pem
private dir = {folder}/private
lock directory = {folder}
state directory = {folder}/state
cache directory = {folder}/cache
binddns dir = {folder}/bind-dns
pid directory = {folder}
ncalrpc dir = {folder}/ncalrpc
logging = file
log file = {folder}/log
"""
"""A password in clear text is taken on loopback (`strong auth`), as of the other servers of tests."""


class SambaServer(Server):
    """One domain controller in one folder; a context manager that starts and stops it.

    Args:
        folder: where everything stands; made if missing, readable by the owner only.
        ldif: entries below `SUFFIX` (RFC 2849), parents first, loaded when the server starts for the first time.

    """

    SUFFIX = "DC=airius,DC=test"
    """The naming context of the domain."""

    def __init__(self, folder: Path, *, ldif: str) -> None:
        self.folder = folder.resolve()
        self.suffix = self.SUFFIX
        self.reader_dn = f"CN=authsvc,CN=Users,{self.SUFFIX}"
        self.reader_password = _strong_password()
        self.admin_dn = f"CN=Administrator,CN=Users,{self.SUFFIX}"
        self.admin_password = _strong_password()
        self.ca_file = self.folder / "ca.pem"
        self._ldif = ldif
        self._reservation: socket.socket | None = None

    @property
    def url(self) -> str:
        """`ldap://ADDRESS`, a loopback address; known once started."""
        return f"ldap://{self._address}"

    @property
    def ldaps_url(self) -> str:
        """`ldaps://ADDRESS`; the certificate's authority is in `ca_file`."""
        return f"ldaps://{self._address}"

    @property
    def _address(self) -> str:
        assert self._reservation is not None, "the server was never started"
        address: str = self._reservation.getsockname()[0]
        return address

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, and give the address back."""
        super().__exit__(kind, error, trace)
        if self._reservation is not None:
            self._reservation.close()

    def start(self) -> None:
        """Start the server, provision and load it first if its folder is new, and return when it answers.

        Raises:
            ServerError: a program is missing, the LDIF is not accepted, or the server does not come up.

        """
        if self._process is not None:
            self._process.start()
            return
        with contextlib.ExitStack() as on_failure:
            on_failure.callback(self._give_up)
            self._process = self._provision()
            self._process.start()
            self.change(f"{self._reader_entry()}\n{self._ldif}")
            on_failure.pop_all()

    def _give_up(self) -> None:
        """Leave nothing running and no address taken."""
        if self._process is not None:
            self._process.kill()
            self._process = None
        if self._reservation is not None:
            self._reservation.close()
            self._reservation = None

    def change(self, text: str) -> None:
        """Add or change entries as the administrator; `text` is LDIF. Over TLS, which passwords need."""
        run_to_end(
            [
                *("ldapmodify", "-a", "-x", "-o", f"TLS_CACERT={self.ca_file}"),
                *("-H", self.ldaps_url, "-D", self.admin_dn, "-w", self.admin_password),
            ],
            said=text,
        )

    def _provision(self) -> ServerProcess:
        program = find_program("samba", "samba-ad-dc")
        tool = find_program("samba-tool", "samba-ad-dc")
        self._reservation = _reserve_address()
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        run_to_end(
            [
                *(
                    tool,
                    "domain",
                    "provision",
                    f"--realm={_REALM}",
                    f"--domain={_DOMAIN}",
                    "--server-role=dc",
                ),
                *("--dns-backend=NONE", "--host-name=dc1", f"--host-ip={self._address}"),
                *(f"--adminpass={self.admin_password}", f"--targetdir={self.folder}"),
                *(f"--option=interfaces={self._address}/8", "--option=bind interfaces only=yes"),
                "--option=vfs objects=",  # the usual ones need attributes that not every file system has
            ]
        )
        self._write_tls_files()
        configuration = _CONFIGURATION.format(
            domain=_DOMAIN, realm=_REALM, address=self._address, folder=self.folder
        )
        (self.folder / "smb.conf").write_text(configuration, encoding="utf-8")
        return ServerProcess(
            [
                *(program, "--foreground", "--no-process-group", "--model=single"),
                f"--configfile={self.folder / 'smb.conf'}",
            ],
            log=self.folder / "output",
            answers=self._answers,
        )

    def _write_tls_files(self) -> None:
        """Write a certificate that is good today: who checks it looks at the clock of the machine."""
        authority = Authority.root("CN=Airius Domain Root,O=Airius", now=datetime.now(UTC))
        issued = authority.issue_server(self._address, "dc1.airius.test")
        for name, text in (
            ("ca.pem", authority.pem),
            ("server.pem", issued.pem),
            ("server.key", issued.key_pem),
        ):
            path = self.folder / name
            path.touch(mode=0o600)  # the server refuses a key that others may read
            path.write_text(text, encoding="ascii")

    def _reader_entry(self) -> str:
        password = base64.b64encode(f'"{self.reader_password}"'.encode("utf-16-le")).decode()
        return (
            f"dn: {self.reader_dn}\n"
            "objectClass: user\n"
            "sAMAccountName: authsvc\n"
            "userAccountControl: 512\n"
            f"unicodePwd:: {password}\n"
        )

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection((self._address, 389), 1.0) as probe:
            probe.sendall(_ANONYMOUS_BIND)
            return bool(probe.recv(1))
        return False


def _reserve_address() -> socket.socket:
    """Return a socket that keeps a loopback address on which the ports of a domain controller are free."""
    for number in random.sample(range(16, 251), 235):
        address = f"127.0.0.{number}"
        reservation = socket.socket()
        with contextlib.suppress(OSError), contextlib.ExitStack() as probes:
            reservation.bind((address, _RESERVED_PORT))
            for port in _PORTS:
                probe = probes.enter_context(socket.socket())
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((address, port))
            return reservation
        reservation.close()
    raise ServerError("no loopback address has its ports of LDAP free, or they need root")


def _strong_password() -> str:
    """Return a random password with every kind of character that Active Directory asks for."""
    return f"Aa1-{secrets.token_urlsafe(16)}"
