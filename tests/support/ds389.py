"""A real 389 Directory Server for tests: made from an LDIF, without a trace outside its folder.

What lives here: the configuration of one `ns-slapd`, loading, starting, pausing, killing and restarting it. What does
not: the content (the caller's LDIF).

Invariants:

* It listens on 127.0.0.1, nowhere else.
* Nothing of the system is changed. `dscreate` would write below /etc, /var, /run and /dev/shm, and insists on systemd
  unless a file of the package is edited; so the configuration is written here from the package's own template, with
  every path in our folder, and the server never hears of the others.
* A port is kept over restarts, so that clients may come back to it.

It tells changes (RFC 4533) by its plugins *Content Synchronization* and *Retro Changelog*, which are on. The data may
be lost when the machine loses power.
"""

import base64
import contextlib
import getpass
import hashlib
import re
import secrets
import shutil
import socket
from collections.abc import Mapping
from pathlib import Path

from tests.support.processes import Server, ServerError, ServerProcess, find_program, free_ports, run_to_end

__all__ = ["Ds389Server"]

_PACKAGE = "389-ds-base"
_TEMPLATE = Path("/usr/share/dirsrv/data/template-dse.ldif")
_SYSTEM_SCHEMA = Path("/usr/share/dirsrv/schema")
_COLLATIONS = Path("/etc/dirsrv/config/slapd-collations.conf")

_ANONYMOUS_BIND = bytes.fromhex("300c020101600702010304008000")
"""LDAPMessage 1, BindRequest, version 3, no name, no password (RFC 4511 section 4.2)."""

_BACKEND = """
dn: cn=userroot,cn=ldbm database,cn=plugins,cn=config
objectClass: top
objectClass: extensibleObject
objectClass: nsBackendInstance
cn: userroot
nsslapd-suffix: %ds_suffix%
nsslapd-directory: %db_dir%/userroot

dn: cn="%ds_suffix%",cn=mapping tree,cn=config
objectClass: top
objectClass: extensibleObject
objectClass: nsMappingTree
cn: "%ds_suffix%"
nsslapd-state: backend
nsslapd-backend: userroot
"""

_EXTRA_SCHEMA = """
dn: cn=schema
attributeTypes: ( 1.3.6.1.4.1.4203.666.11.71.1 NAME 'notesDN'
  EQUALITY caseIgnoreMatch SUBSTR caseIgnoreSubstringsMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
attributeTypes: ( 1.3.6.1.4.1.4203.666.11.71.3 NAME 'userPrincipalName'
  EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 )
"""
"""Attributes that directories of other kinds have, as `slapd` of the sample world has them."""

_FOLDERS = ("lock", "tmp", "cert", "ldif", "bak", "run", "inst", "log", "db", "db_home")


class Ds389Server(Server):
    """One server in one folder; a context manager that starts and stops it.

    Args:
        folder: where everything stands; made if missing, readable by the owner only.
        ldif: the content (RFC 2849), the entry of the suffix included; loaded once, when the folder is new.
        suffix: the DN of the naming context, RFC 4514.

    """

    def __init__(self, folder: Path, *, ldif: str, suffix: str) -> None:
        self.folder = folder.resolve()
        self.suffix = suffix
        self.reader_dn = f"cn=authsvc,{suffix}"
        self.reader_password = secrets.token_urlsafe(16)
        self.admin_dn = "cn=Directory Manager"
        self.admin_password = secrets.token_urlsafe(16)
        # The name of this folder names a semaphore in /dev/shm, which servers of one name would share.
        self._instance = self.folder / f"slapd-{secrets.token_hex(4)}"
        self._ldif = ldif
        self._port = 0

    @property
    def url(self) -> str:
        """`ldap://127.0.0.1:PORT`; known once started."""
        return f"ldap://127.0.0.1:{self._port}"

    def start(self) -> None:
        """Start the server, load it first if its folder is new, and return when it answers.

        Raises:
            ServerError: a program is missing, the LDIF is not accepted, or the server does not come up.

        """
        if self._process is None:
            self._process = self._prepare()
        self._process.start()

    def change(self, text: str) -> None:
        """Add or change entries as the administrator; `text` is an LDIF of changes."""
        run_to_end(
            ["ldapmodify", "-x", "-H", self.url, "-D", self.admin_dn, "-w", self.admin_password], said=text
        )

    def _prepare(self) -> ServerProcess:
        program = find_program("ns-slapd", _PACKAGE)
        for path in (_TEMPLATE, _SYSTEM_SCHEMA, _COLLATIONS):
            if not path.exists():
                raise ServerError(f"`{path}` is missing: it comes with the Debian package `{_PACKAGE}`")
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self._port,) = free_ports(1)
        self._write_configuration()
        self._load(program)
        return ServerProcess(
            [program, "-D", self._instance, "-i", self.folder / "run" / "pid", "-d", "0"],
            log=self.folder / "log" / "output",
            answers=self._answers,
            cwd=self.folder,
        )

    def _load(self, program: str) -> None:
        """Load the content; the program notes what it skips in its log, and may end as if nothing were wrong."""
        content = self.folder / "content.ldif"
        first, *others = self._ldif.strip().split("\n\n")
        self._write(
            content, "\n\n".join([f"{first}\n{self._reader_may_read()}", *others, self._reader_entry()])
        )
        command: list[str | Path] = [
            program,
            "ldif2db",
            "-D",
            self._instance,
            "-n",
            "userroot",
            "-i",
            content,
        ]
        problem = ""
        try:
            run_to_end(command, cwd=self.folder)
        except ServerError as error:
            problem = str(error)
        log = (self.folder / "log" / "errors").read_text(encoding="utf-8", errors="replace").splitlines()
        problems = [line for line in log if "Skipping" in line or " - ERR - " in line]
        if problem or problems:
            raise ServerError(f"`ns-slapd` did not accept the entries: {': '.join([problem, *problems[:3]])}")

    def _write_configuration(self) -> None:
        paths = {name: self.folder / name for name in _FOLDERS}
        paths["config"] = self._instance
        paths["schema"] = self._instance / "schema"
        for path in (*paths.values(), paths["db"] / "userroot"):
            path.mkdir(mode=0o700)
        shutil.copy(_COLLATIONS, paths["config"])
        self._write(paths["schema"] / "99user.ldif", _EXTRA_SCHEMA.lstrip())
        values = {f"{name}_dir": str(path) for name, path in paths.items()} | {
            "fqdn": "localhost",
            "ds_port": str(self._port),
            "ds_user": getpass.getuser(),
            "rootdn": self.admin_dn,
            "ds_passwd": _hashed(self.admin_password),
            "ldapi_enabled": "off",
            "ldapi": str(paths["run"] / "ldapi"),
            "ldapi_autobind": "off",
            "db_lib": "bdb",
            "ds_suffix": self.suffix,
        }
        text = f"{_TEMPLATE.read_text(encoding='utf-8').rstrip()}\n{_BACKEND}"
        text = _with_values(text, "cn=config", {"nsslapd-listenhost": "127.0.0.1", "nsslapd-security": "off"})
        for plugin in ("Content Synchronization", "Retro Changelog Plugin"):
            text = _with_values(text, f"cn={plugin},cn=plugins,cn=config", {"nsslapd-pluginEnabled": "on"})
        text = _with_values(
            text,
            "cn=Retro Changelog Plugin,cn=plugins,cn=config",
            {"nsslapd-attribute": "nsuniqueid:targetUniqueId"},
        )
        text = _with_values(
            text,
            "cn=config,cn=ldbm database,cn=plugins,cn=config",
            {
                "nsslapd-cache-autosize": "0",  # it would take a quarter of the machine's memory
                "nsslapd-dbcachesize": "16000000",
                "nsslapd-db-durable-transaction": "off",
            },
        )
        self._write(self._instance / "dse.ldif", re.sub(r"%(\w+)%", lambda match: values[match[1]], text))

    @staticmethod
    def _write(path: Path, text: str) -> None:
        path.touch(mode=0o600)  # passwords stand in it
        path.write_text(text, encoding="utf-8")

    def _reader_may_read(self) -> str:
        return (
            'aci: (targetattr = "*")(version 3.0; acl "reader"; allow (read, search, compare) '
            f'userdn = "ldap:///{self.reader_dn}";)'
        )

    def _reader_entry(self) -> str:
        return (
            f"dn: {self.reader_dn}\n"
            "objectClass: organizationalRole\n"
            "objectClass: simpleSecurityObject\n"
            "cn: authsvc\n"
            f"userPassword: {self.reader_password}\n"
        )

    def _answers(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port), 1.0) as probe:
            probe.sendall(_ANONYMOUS_BIND)
            return bool(probe.recv(1))
        return False


def _hashed(password: str) -> str:
    """Return a password as the configuration must hold it: the server refuses one in clear text."""
    salt = secrets.token_bytes(8)
    digest = hashlib.sha512(password.encode() + salt).digest()
    return "{SSHA512}" + base64.b64encode(digest + salt).decode()


def _with_values(text: str, dn: str, values: Mapping[str, str]) -> str:
    """Return a configuration in which one entry has these values instead of others."""
    entries = text.split("\n\n")
    (place,) = (at for at, entry in enumerate(entries) if f"dn: {dn}\n" in f"{entry}\n")
    replaced = {name.lower() for name in values}
    lines = [line for line in entries[place].splitlines() if line.partition(":")[0].lower() not in replaced]
    entries[place] = "\n".join([*lines, *(f"{name}: {value}" for name, value in values.items())])
    return "\n\n".join(entries)
