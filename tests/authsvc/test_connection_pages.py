"""The pages that say how to connect a directory: their stanzas are accepted, and their steps work at real servers.

Links, keys and commands named in passing are held by `test_documentation.py`, tables by `test_operations_docs.py`.
What is followed here is taken from the pages as it stands there; only what is of a machine is replaced: where the
server listens, folders of the system, and the prompt for a password.
"""

import os
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from authsvc.config import check_configuration
from tests.support.command_line import run_authsvc
from tests.support.ds389 import Ds389Server
from tests.support.pki import NOW, Authority
from tests.support.processes import ServerProcess, find_program, free_ports, run_to_end

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations"
PAGES = ("openldap-389ds.md", "active-directory.md", "from-domino.md", "directories.md")
HOST = "ldap1.airius.com"
PASSWORD = "choose-one"
INITIAL_CONFIGURATION = Path("/usr/share/slapd/slapd.init.ldif")
"""What Debian's package makes of an empty machine; the page begins there."""


def page(name: str) -> str:
    return (OPERATIONS / name).read_text(encoding="utf-8")


def part(name: str, heading: str) -> str:
    """Return the section of a page whose heading begins so."""
    (found,) = re.findall(
        rf"^## {re.escape(heading)}[^\n]*\n(.*?)(?=^## |\Z)", page(name), re.DOTALL | re.MULTILINE
    )
    return str(found)


def ldif_of(heading: str, file: str) -> str:
    """Return the LDIF that the page calls by this file name."""
    (found,) = re.findall(
        rf"`{re.escape(file)}`[^\n]*:\n\n```ldif\n(.*?)^```",
        part("openldap-389ds.md", heading),
        re.DOTALL | re.MULTILINE,
    )
    return str(found)


def command_of(heading: str, beginning: str) -> str:
    """Return the one command of a section that begins so, in a block, in a table or on a line of its own."""
    text = part("openldap-389ds.md", heading)
    found = re.findall(rf"^(?:\| )?`?({re.escape(beginning)}(?:\\\n|[^`\n])*)", text, re.MULTILINE)
    assert len(found) == 1, found
    return str(found[0])


# --- stanzas


def stanzas() -> Iterator[object]:
    """Yield every stanza about directories; a part of one is laid over the first whole one of its page."""
    for name in PAGES:
        whole: str | None = None
        for position, block in enumerate(
            re.findall(r"^```yaml\n(.*?)^```", page(name), re.DOTALL | re.MULTILINE)
        ):
            keys = set(yaml.safe_load(block))
            if "domains" in keys:
                whole = whole or block
                yield pytest.param(block, None, id=f"{name}, block {position + 1}")
            elif keys <= {"ldap", "bind"}:
                assert whole is not None
                yield pytest.param(whole, block, id=f"{name}, block {position + 1}, laid over the first")


def lay(target: dict[str, object], change: dict[str, object]) -> None:
    for key, value in change.items():
        below = target.get(key)
        if key != "bind" and isinstance(below, dict) and isinstance(value, dict):
            lay(below, value)
        else:
            target[key] = value


def stand_in(folder: Path, value: object) -> None:
    """Write what a stanza names: certificates, keys, passwords, an LDIF."""
    authority = Authority.root(now=NOW)
    person = authority.issue("CN=Somebody,O=Airius")
    texts = {
        "ca_file": authority.pem,
        "certificate": person.pem,
        "sample": person.pem,
        "key": person.key_pem,
        "password_file": "a password",
        "file": "version: 1\n",
    }
    if isinstance(value, list):
        for each in value:
            stand_in(folder, each)
    elif isinstance(value, dict):
        for key, each in value.items():
            if key in texts and isinstance(each, str):
                path = folder / each
                path.parent.mkdir(exist_ok=True)
                path.write_text(texts[key], encoding="utf-8")
                path.chmod(0o600)
            stand_in(folder, each)


@pytest.mark.parametrize(("block", "laid_over"), list(stanzas()))
def test_every_stanza_of_the_pages_is_accepted_with_no_warning_but_the_one_it_tells_of(
    tmp_path: Path, block: str, laid_over: str | None
) -> None:
    """The folder is that of `authsvc init`, whose anchor is called as the page calls its own.

    `group_authorization: all` is warned of, and the page says so.
    """
    folder = tmp_path / "a"
    assert run_authsvc("init", folder).exit_code == 0
    service = folder / "authsvc.yaml"
    service.write_text(service.read_text().replace("name: development", "name: corp"))
    document = {"primary": {"domain": "Example", "url": "sqlite:///var/directory.db"}} | yaml.safe_load(block)
    if laid_over is not None:
        change = yaml.safe_load(laid_over)
        lay(document["domains"][0], change if "ldap" in change else {"ldap": change})
    stand_in(folder, document)
    (folder / "directory-assistance.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
    problems = check_configuration(service, environment={}).problems
    told = ["`group_authorization: true` asks it about its own people only"]
    assert [problem.hint for problem in problems] == told * block.count("group_authorization: all")


def test_the_pages_have_stanzas() -> None:
    assert len(list(stanzas())) >= 7


def test_the_example_of_the_move_from_domino_reads_each_rule_as_the_document_has_it(tmp_path: Path) -> None:
    """`check-config` prints the six parts of N.C. 1; its all-asterisk rule became a suffix and the mapped names'."""
    folder = tmp_path / "a"
    run_authsvc("init", folder)
    (block,) = re.findall(
        r"^```yaml\n(.*?)^```", part("from-domino.md", "An example"), re.DOTALL | re.MULTILINE
    )
    stand_in(folder, yaml.safe_load(block))
    (folder / "directory-assistance.yaml").write_text(block, encoding="utf-8")
    printed = run_authsvc("check-config", config=folder / "authsvc.yaml")
    assert printed.exit_code == 0
    for line in (
        "Acme West: */*/*/West/Acme/* (trusted)",
        "Airius: O=airius.com (trusted)",
        "Airius: */*/*/*/Airius/* (trusted)",
        "usable, 1 warning",
    ):
        assert line in printed.stdout


# --- following the page


class Follower:
    """A machine on which the page is followed: a folder of authsvc, and what stands for the machine's own.

    Args:
        folder: of authsvc, new.
        stand_ins: what is replaced in every line of the page, in this order.

    """

    def __init__(self, folder: Path, stand_ins: dict[str, str]) -> None:
        self.folder = folder
        self._stand_ins = stand_ins
        assert run_authsvc("init", folder).exit_code == 0
        assert run_authsvc("apply", folder / "people.yaml", config=folder / "authsvc.yaml").exit_code == 0

    def here(self, text: str) -> str:
        for written, stands in self._stand_ins.items():
            text = text.replace(written, stands)
        return text

    def write(self, heading: str, file: str) -> None:
        (self.folder / file).write_text(self.here(ldif_of(heading, file)), encoding="utf-8")

    def run(self, command: str) -> None:
        run_to_end(["bash", "-euc", self.here(command)], cwd=self.folder)

    def make_certificate(self) -> None:
        """Step 4, on the side of authsvc."""
        for block in re.findall(
            r"^```sh\n(.*?)^```", part("openldap-389ds.md", "4."), re.DOTALL | re.MULTILINE
        ):
            self.run(block)

    def configure(self, ca: str | None, *, uri: str, server: str = "standard") -> None:
        """Step 6, where the server is."""
        (block,) = re.findall(
            r"^```yaml\n(.*?)^```", part("openldap-389ds.md", "6."), re.DOTALL | re.MULTILINE
        )
        domain = yaml.safe_load(block)["domains"][0]
        domain["ldap"] |= {"hosts": [uri], "server": server}
        if ca is None:
            del domain["ldap"]["tls"]
        file = self.folder / "directory-assistance.yaml"
        file.write_text(
            yaml.safe_dump(
                {"primary": {"domain": "Example", "url": "sqlite:///var/directory.db"}, "domains": [domain]}
            )
        )

    def checks(self) -> tuple[int, dict[str, str]]:
        """Step 7: return the exit code of the verification, and the worst status of each check."""
        printed = run_authsvc("verify-directory", "Airius", config=self.folder / "authsvc.yaml")
        worst: dict[str, str] = {}
        for status, check in re.findall(
            r"^  (ok|warning|failed|skipped) +(\w+) ", printed.stdout, re.MULTILINE
        ):
            worst[check] = status if worst.get(check, "ok") == "ok" else worst[check]
        return printed.exit_code, worst

    def explained(self) -> str:
        printed = run_authsvc(
            "explain", self.folder / "certificates" / "jdoe.pem", config=self.folder / "authsvc.yaml"
        )
        return printed.stdout


EVERY_CHECK = {
    *("dns", "connect", "tls", "bind", "root_dse", "changes", "base", "attributes"),
    *("indexes", "sample", "find_by", "owner", "rule", "state", "groups"),
}


@pytest.fixture
def names_lead_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the line in `/etc/hosts` does it."""
    look_up = socket.getaddrinfo

    def here(name: str, *arguments: object, **options: object) -> object:
        return look_up("127.0.0.1" if name == HOST else name, *arguments, **options)  # type: ignore[arg-type]  # as they come

    monkeypatch.setattr(socket, "getaddrinfo", here)


def listens(port: int) -> Callable[[], bool]:
    def answers() -> bool:
        with socket.socket() as probe:
            probe.settimeout(1.0)
            return probe.connect_ex(("127.0.0.1", port)) == 0

    return answers


@pytest.mark.usefixtures("names_lead_here")
def test_the_page_leads_from_an_empty_openldap_to_a_person_who_is_locked(tmp_path: Path) -> None:
    """Every LDIF of the page for OpenLDAP, by its own commands, at the configuration of Debian's package."""
    (port,) = free_ports(1)
    tls = tmp_path / "ldap-tls"
    config = tmp_path / "slapd.d"
    for folder in (config, tmp_path / "data"):
        folder.mkdir()
    socket_url = f"ldapi://{str(tmp_path / 's').replace('/', '%2F')}"
    administrator = "gidNumber=0+uidNumber=0"
    follower = Follower(
        tmp_path / "authsvc",
        {
            f"ldaps://{HOST}": socket_url,
            "ldapi:///": socket_url,
            " -W ": f" -w {PASSWORD} ",
            "/etc/ldap/tls": str(tls),
        },
    )
    initial = INITIAL_CONFIGURATION.read_text(encoding="utf-8")
    for written, stands in {
        "@SUFFIX@": "dc=nodomain",
        "@PASSWORD@": "{CRYPT}*",
        "/var/lib/ldap": str(tmp_path / "data"),
        "/var/run/slapd": str(tmp_path),
        "olcAccess: to *\n  by * read": "olcAccess: to *\n  by * none",  # so that the page's rule is what is needed
        administrator: f"gidNumber={os.getgid()}+uidNumber={os.getuid()}",
    }.items():
        initial = initial.replace(written, stands)
    run_to_end([find_program("slapadd", "slapd"), "-n", "0", "-F", config, "-l", "/dev/stdin"], said=initial)

    trial = "A server to try it on"
    tls.mkdir()
    for command in re.findall(r"^openssl (?:\\\n|[^\n])*", part("openldap-389ds.md", trial), re.MULTILINE)[
        :2
    ]:
        follower.run(command)
    follower.write(trial, "try.ldif")
    slapmodify = find_program("slapmodify", "slapd")
    run_to_end([slapmodify, "-n", "0", "-F", config, "-l", follower.folder / "try.ldif"])
    server = ServerProcess(
        [
            *(find_program("slapd", "slapd"), "-d", "0", "-F", config),
            *("-h", f"{socket_url} ldaps://127.0.0.1:{port}"),
        ],
        log=tmp_path / "log",
        answers=listens(port),
    )
    server.start()
    try:
        follower.write(trial, "people.ldif")
        follower.run(command_of(trial, "ldapadd -x -H ldapi:///"))
        follower.write("1.", "authsvc.ldif")
        follower.run(command_of("1.", "ldapadd -x -H ldapi:///"))
        follower.run("(umask 077; openssl rand -hex 24 | tr -d '\\n' > secrets/airius.password)")
        follower.run(command_of("1.", "LDAPTLS_CACERT=trust/airius-ca.pem ldappasswd"))
        follower.write("2.", "access.ldif")
        to_configuration = command_of("2.", "ldapmodify -Q -Y EXTERNAL")
        follower.run(to_configuration)
        follower.make_certificate()
        follower.write("4.", "certificate.ldif")
        to_entries = command_of("4.", "ldapmodify -x -H ldapi:///")
        follower.run(to_entries)
        (follower.folder / "trust" / "airius-ca.pem").write_text((tls / "airius-ca.pem").read_text())
        follower.configure("airius-ca.pem", uri=f"ldaps://{HOST}:{port}")

        assert follower.checks() == (0, dict.fromkeys(EVERY_CHECK, "ok"))
        assert "groups      Engineers@Airius" in follower.explained()

        follower.write("Locked", "ppolicy.ldif")
        follower.run(to_configuration.replace("access.ldif", "ppolicy.ldif"))
        assert "allowed: allowed_identity" in follower.explained()
        follower.write("Locked", "lock.ldif")
        follower.run(to_entries.replace("certificate.ldif", "lock.ldif"))
        assert "denied: entry_disabled" in follower.explained()

        follower.write("TLS and the bind", "external.ldif")
        follower.run(to_configuration.replace("access.ldif", "external.ldif"))
    finally:
        server.stop()


def test_the_page_leads_from_an_empty_389_ds_to_a_person_who_is_locked(tmp_path: Path) -> None:
    """The access rule of the page is enough to look up, to see groups, and to see who is locked."""
    people = ldif_of("A server to try it on", "people.ldif")
    with Ds389Server(tmp_path / "s", ldif=people, suffix="o=airius.com") as server:
        follower = Follower(tmp_path / "authsvc", {"ldap://localhost": server.url})
        # The server of tests lets its reader read everything; here it may what the page says, and no more.
        server.change("dn: o=airius.com\nchangetype: modify\ndelete: aci\n")
        server.change(ldif_of("3.", "access.ldif"))
        (follower.folder / "secrets" / "airius.password").write_text(server.reader_password)
        (follower.folder / "secrets" / "airius.password").chmod(0o600)
        follower.make_certificate()
        der = follower.folder / "jdoe.der"
        server.change(ldif_of("4.", "certificate.ldif").replace("file:jdoe.der", f"file://{der}"))
        follower.configure(None, uri=server.url, server="389ds")

        assert follower.checks() == (0, dict.fromkeys(EVERY_CHECK - {"dns", "tls"}, "ok"))
        assert "groups      Engineers@Airius" in follower.explained()
        server.change(
            "dn: uid=jdoe,ou=people,o=airius.com\nchangetype: modify\nadd: nsAccountLock\nnsAccountLock: true\n"
        )
        assert "denied: entry_disabled" in follower.explained()
