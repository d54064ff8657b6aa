"""`directory-assistance.yaml`: what is read, every default, and every mistake at once."""

from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from directory_assistance.backends import open_directory
from directory_assistance.backends.caching import CachingDirectory
from directory_assistance.backends.ldap import LdapDirectory
from directory_assistance.backends.ldap.settings import (
    AnonymousBind,
    ExternalBind,
    GroupStyle,
    LdapSettings,
    LdapTls,
    ServerKind,
    SimpleBind,
)
from directory_assistance.backends.ldif import LdifDirectory, LdifSettings
from directory_assistance.backends.sql import SqlDirectory
from directory_assistance.candidates import BindBy, FindBy, FindWay, MatchPlan
from directory_assistance.config import examine_directory_assistance, read_directory_assistance
from directory_assistance.config_models import DomainModel, FileModel, LdapModel, PrimaryModel, RuleModel
from directory_assistance.dn import read_ldap_dn
from directory_assistance.domains import Ambiguity, GroupAuthorization, OnUnavailable
from directory_assistance.errors import ConfigurationError, DirectoryUnavailable
from directory_assistance.filter_templates import read_filter_template
from directory_assistance.groups import ExpansionLimits
from directory_assistance.naming import read_naming_rule, read_suffix_rule, render_rule
from directory_assistance.settings import (
    DirectoryAssistanceSettings,
    DomainSettings,
    PrimarySettings,
    SqlSettings,
)
from directory_assistance.sql_engine import open_engine
from tests.support.config_files import MISTAKES, expected_problems, lay_files, printed
from tests.support.config_values import confused_texts
from tests.support.directories import deadline

CONTRACT_EXAMPLE = """\
primary:
  domain: Renovations
  url: sqlite:///var/directory.db
domains:
  - domain: Acme West
    type: sql
    url: sqlite:///var/acme-west.db
    search_order: 1
    rules: [{rule: "*/West/Acme", trusted: true}]
  - domain: Partners
    type: ldif
    file: partners.ldif
    rules: [{rule: "*/Partners", trusted: true}]
  - domain: Airius
    type: ldap
    search_order: 2
    group_authorization: true
    plain_group_names: true
    rules: [{suffix: "o=airius.com", trusted: true}]
    on_unavailable: undecided
    mail_domains: [airius.com]
    ldap:
      hosts: [ldaps://ldap1.airius.com, ldaps://ldap2.airius.com:1636]
      bind: {dn: "cn=authsvc,o=airius.com", password_file: airius.password}
      base: "o=airius.com"
      tls: {ca_file: airius-ca.pem, verify_server_name: true, minimum_version: "1.2"}
      connect_timeout: 2s
      timeout: 5s
      size_limit: 100
      server: standard
      name_attribute: notesDN
      find_by: [certificate, mail]
      bind_by: certificate
      groups: {style: member, nested: true, max_depth: 20}
  - domain: Corp
    type: ldap
    search_order: 3
    rules: [{suffix: "dc=corp,dc=example,dc=com", trusted: true}]
    ldap:
      hosts: [ldaps://dc1.corp.example.com, ldaps://dc2.corp.example.com]
      server: active-directory
      bind: {dn: "CN=authsvc,OU=Services,DC=corp,DC=example,DC=com", password_file: corp.password}
      base: "DC=corp,DC=example,DC=com"
      tls: {ca_file: corp-ca.pem}
      find_by: [sid, upn]
      bind_by: sid
      issued_by: [corp]
"""
"""Contract section 4."""

DEFAULT_PLAN = MatchPlan(
    ways=tuple(
        FindWay(find_by=find_by)
        for find_by in (FindBy.CERTIFICATE, FindBy.SUBJECT, FindBy.COMMON_NAME, FindBy.MAIL)
    ),
    bind_by=BindBy.CERTIFICATE,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("directory-assistance").resolve()
    lay_files(path)
    return path


def read(folder: Path, text: str, **environment: str) -> DirectoryAssistanceSettings:
    """Read a text as a file in the folder."""
    file = folder / "some.yaml"
    file.write_text(text, encoding="utf-8")
    return read_directory_assistance(file, environment=environment, anchors=frozenset({"corp", "partner"}))


def domain(folder: Path, keys: str, **environment: str) -> DomainSettings:
    """Read one domain with a few keys, in flow style, after those that it must have."""
    text = (
        "primary: {domain: Renovations, url: 'sqlite:///directory.db'}\n"
        f"domains: [{{domain: Acme, rules: [{{rule: '*/Acme', trusted: true}}], {keys}}}]\n"
    )
    return read(folder, text, **environment).domains[0]


def ldap(folder: Path, keys: str = "", **environment: str) -> LdapSettings:
    """Read the settings of one LDAP directory with a few keys."""
    inner = f"{{hosts: [ldaps://ldap.acme.com], base: 'o=Acme', tls: {{ca_file: airius-ca.pem}}, {keys}}}"
    directory = domain(folder, f"type: ldap, ldap: {inner}", **environment).directory
    assert isinstance(directory, LdapSettings)
    return directory


def sql(path: Path) -> SqlSettings:
    return SqlSettings(url=f"sqlite:///{path}", shown=f"sqlite:///{path}")


def test_the_example_of_the_contract_is_read_whole(folder: Path) -> None:
    def password(name: str) -> Path:
        return folder / f"{name}.password"

    assert read(folder, CONTRACT_EXAMPLE) == DirectoryAssistanceSettings(
        primary=PrimarySettings(
            domain="Renovations",
            directory=sql(folder / "var/directory.db"),
            plan=DEFAULT_PLAN,
            size_limit=100,
            expansion=ExpansionLimits(nested=True, max_depth=20, max_groups=10_000),
        ),
        domains=(
            DomainSettings(
                domain="Acme West",
                directory=sql(folder / "var/acme-west.db"),
                plan=DEFAULT_PLAN,
                rules=(read_naming_rule("*/West/Acme", trusted=True),),
                search_order=1,
            ),
            DomainSettings(
                domain="Partners",
                directory=LdifSettings(path=folder / "partners.ldif"),
                plan=DEFAULT_PLAN,
                rules=(read_naming_rule("*/Partners", trusted=True),),
            ),
            DomainSettings(
                domain="Airius",
                directory=LdapSettings(
                    hosts=("ldaps://ldap1.airius.com", "ldaps://ldap2.airius.com:1636"),
                    base=read_ldap_dn("o=airius.com"),
                    bind=SimpleBind(dn="cn=authsvc,o=airius.com", password_file=password("airius")),
                    tls=LdapTls(
                        ca_file=folder / "airius-ca.pem", verify_server_name=True, minimum_version="1.2"
                    ),
                    connect_timeout=timedelta(seconds=2),
                    timeout=timedelta(seconds=5),
                    server=ServerKind.STANDARD,
                    name_attribute="notesDN",
                    group_style=GroupStyle.MEMBER,
                ),
                plan=MatchPlan(ways=(FindWay(find_by=FindBy.CERTIFICATE), FindWay(find_by=FindBy.MAIL))),
                rules=(read_suffix_rule("o=airius.com", trusted=True),),
                search_order=2,
                on_unavailable=OnUnavailable.UNDECIDED,
                group_authorization=GroupAuthorization.OWN,
                plain_group_names=True,
                mail_domains=frozenset({"airius.com"}),
            ),
            DomainSettings(
                domain="Corp",
                directory=LdapSettings(
                    hosts=("ldaps://dc1.corp.example.com", "ldaps://dc2.corp.example.com"),
                    base=read_ldap_dn("DC=corp,DC=example,DC=com"),
                    bind=SimpleBind(
                        dn="CN=authsvc,OU=Services,DC=corp,DC=example,DC=com", password_file=password("corp")
                    ),
                    tls=LdapTls(ca_file=folder / "corp-ca.pem"),
                    server=ServerKind.ACTIVE_DIRECTORY,
                ),
                plan=MatchPlan(
                    ways=(FindWay(find_by=FindBy.SID), FindWay(find_by=FindBy.UPN)),
                    bind_by=BindBy.SID,
                    issued_by=frozenset({"corp"}),
                ),
                rules=(read_suffix_rule("dc=corp,dc=example,dc=com", trusted=True),),
                search_order=3,
            ),
        ),
        ambiguity=Ambiguity.FIRST,
    )


def test_the_defaults_are_those_of_the_contract(folder: Path) -> None:
    acme = domain(folder, "type: sql, url: 'sqlite:///acme.db'")
    assert acme == DomainSettings(
        domain="Acme",
        directory=sql(folder / "acme.db"),
        plan=DEFAULT_PLAN,
        rules=(read_naming_rule("*/Acme", enabled=True, trusted=True),),
        enabled=True,
        search_order=None,
        size_limit=100,
        on_unavailable=OnUnavailable.UNDECIDED,
        may_assert_primary_names=False,
        group_authorization=GroupAuthorization.NONE,
        plain_group_names=False,
        mail_domains=frozenset(),
        expansion=ExpansionLimits(nested=True, max_depth=20, max_groups=10_000),
        sample=None,
    )
    assert ldap(folder) == LdapSettings(
        hosts=("ldaps://ldap.acme.com",),
        base=read_ldap_dn("o=Acme"),
        bind=AnonymousBind(),
        tls=LdapTls(ca_file=folder / "airius-ca.pem", verify_server_name=True, minimum_version="1.2"),
        connect_timeout=timedelta(seconds=2),
        timeout=timedelta(seconds=5),
        server=ServerKind.STANDARD,
        name_attribute=None,
        group_style=GroupStyle.MEMBER,
        watch=True,
    )


@pytest.mark.parametrize(("written", "watched"), [("auto", True), ("off", False), ("'off'", False)])
def test_a_server_is_watched_unless_the_file_says_off(folder: Path, written: str, *, watched: bool) -> None:
    assert watched is ldap(folder, f"watch: {written}").watch


def test_every_key_of_a_domain_is_read(folder: Path) -> None:
    keys = (
        "type: sql, url: 'sqlite:////srv/acme.db', enabled: false, search_order: 0, size_limit: 2,"
        " on_unavailable: skip, may_assert_primary_names: true, group_authorization: all, mail_domains: [Acme.COM],"
        " sample: sample.pem,"
        " groups: {nested: false, max_depth: 3, max_count: 4}, bind_by: public_key, find_by: [subject]"
    )
    assert domain(folder, keys) == DomainSettings(
        domain="Acme",
        directory=sql(Path("/srv/acme.db")),
        plan=MatchPlan(ways=(FindWay(find_by=FindBy.SUBJECT),), bind_by=BindBy.PUBLIC_KEY),
        rules=(read_naming_rule("*/Acme", trusted=True),),
        enabled=False,
        search_order=0,
        size_limit=2,
        on_unavailable=OnUnavailable.SKIP,
        may_assert_primary_names=True,
        group_authorization=GroupAuthorization.ALL,
        mail_domains=frozenset({"acme.com"}),
        expansion=ExpansionLimits(nested=False, max_depth=3, max_groups=4),
        sample=folder / "sample.pem",
    )


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        pytest.param("true", GroupAuthorization.OWN, id="true means own"),
        pytest.param("own", GroupAuthorization.OWN, id="own"),
        pytest.param("all", GroupAuthorization.ALL, id="all"),
        pytest.param("false", GroupAuthorization.NONE, id="false"),
    ],
)
def test_group_authorization_has_three_values(folder: Path, said: str, expected: GroupAuthorization) -> None:
    keys = f"type: sql, url: 'sqlite:///a.db', group_authorization: {said}"
    assert domain(folder, keys).group_authorization is expected


def test_the_primary_has_a_plan_limits_and_a_sample(folder: Path) -> None:
    text = (
        "primary: {domain: R, url: 'sqlite:///d.db', find_by: [mail], bind_by: name, issued_by: [corp], size_limit: 5,"
        " groups: {max_depth: 2}, sample: sample.pem}\nambiguity: strict\n"
    )
    settings = read(folder, text)
    assert settings.primary == PrimarySettings(
        domain="R",
        directory=sql(folder / "d.db"),
        plan=MatchPlan(
            ways=(FindWay(find_by=FindBy.MAIL),), bind_by=BindBy.NAME, issued_by=frozenset({"corp"})
        ),
        size_limit=5,
        expansion=ExpansionLimits(max_depth=2),
        sample=folder / "sample.pem",
    )
    assert settings.ambiguity is Ambiguity.STRICT
    assert settings.domains == ()


def test_ways_have_options_and_filters(folder: Path) -> None:
    keys = (
        "type: ldap, ldap: {hosts: ['ldap://127.0.0.1'], base: 'o=Acme'}, find_by: [uid, upn,"
        " {mail: {multiple: first, legacy_subject_email: true}}, {common_name: {}},"
        " {filter: '(employeeNumber={subject.uid})'}, {filter: '(mail={san.mail})'}]"
    )
    assert domain(folder, keys).plan.ways == (
        FindWay(find_by=FindBy.UID),
        FindWay(find_by=FindBy.UPN),
        FindWay(find_by=FindBy.MAIL, first_of_several=True, legacy_subject_email=True),
        FindWay(find_by=FindBy.COMMON_NAME),
        FindWay(find_by=FindBy.FILTER, template=read_filter_template("(employeeNumber={subject.uid})")),
        FindWay(find_by=FindBy.FILTER, template=read_filter_template("(mail={san.mail})")),
    )


@pytest.mark.parametrize("inside", [False, True], ids=["on the domain", "under ldap"])
def test_the_keys_of_the_plan_stand_on_the_domain_or_under_ldap(folder: Path, *, inside: bool) -> None:
    keys = (
        "find_by: [sid], bind_by: sid, issued_by: [corp], size_limit: 7, groups: {style: both, max_depth: 9}"
    )
    host = "hosts: ['ldap://127.0.0.1'], base: 'o=Acme'"
    text = f"ldap: {{{host}, {keys}}}" if inside else f"ldap: {{{host}}}, {keys}"
    acme = domain(folder, f"type: ldap, {text}")
    assert acme.plan == MatchPlan(
        ways=(FindWay(find_by=FindBy.SID),), bind_by=BindBy.SID, issued_by=frozenset({"corp"})
    )
    assert (acme.size_limit, acme.expansion) == (7, ExpansionLimits(max_depth=9))
    assert isinstance(acme.directory, LdapSettings)
    assert acme.directory.group_style is GroupStyle.BOTH


def test_rules_are_read_in_order_with_their_flags(folder: Path) -> None:
    text = (
        "primary: {domain: R, url: 'sqlite:///d.db'}\n"
        "domains: [{domain: A, type: sql, url: 'sqlite:///a.db', rules: [{rule: '*/A'}, "
        "{suffix: 'dc=a', trusted: true}, {rule: '/B', enabled: false, trusted: true}]}]\n"
    )
    (acme,) = read(folder, text).domains
    assert acme.rules == (
        read_naming_rule("*/A"),
        read_suffix_rule("dc=a", trusted=True),
        read_naming_rule("/B", enabled=False, trusted=True),
    )


# --- binds, addresses, references


def test_a_bind_may_be_external(folder: Path) -> None:
    bind = ldap(folder, "bind: {external: {certificate: server.pem, key: server.key}}").bind
    assert bind == ExternalBind(certificate=folder / "server.pem", key=folder / "server.key")


def test_a_bind_may_be_anonymous(folder: Path) -> None:
    assert ldap(folder, "bind: anonymous").bind == AnonymousBind()


def test_a_bind_password_may_come_from_the_environment_and_is_shown_nowhere(folder: Path) -> None:
    bind = ldap(folder, "bind: {dn: 'cn=a', password: '${LDAP_PASSWORD}'}", LDAP_PASSWORD="hunter2").bind
    assert isinstance(bind, SimpleBind)
    assert callable(bind.password_file)
    assert bind.password_file() == "hunter2"
    assert "hunter2" not in repr(bind)


def test_active_directory_may_be_bound_to_by_upn(folder: Path) -> None:
    keys = "server: active-directory, bind: {dn: authsvc@corp.example.com, password_file: corp.password}"
    bind = ldap(folder, keys).bind
    assert isinstance(bind, SimpleBind)
    assert bind.dn == "authsvc@corp.example.com"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        pytest.param(
            "postgresql+psycopg://u:${PW}@localhost/d",
            "postgresql+psycopg://u:p%40ss%2F%3A@localhost/d",
            id="a password with every sign that addresses use",
        ),
        pytest.param("${URL}", "postgresql+psycopg://u:p@localhost:5433/d", id="the whole address"),
        pytest.param(
            "postgresql+psycopg://${U}@${H}/${D}?sslmode=verify-full",
            "postgresql+psycopg://name@db.example.com/base?sslmode=verify-full",
            id="its other parts",
        ),
    ],
)
def test_an_address_takes_references(folder: Path, url: str, expected: str) -> None:
    environment = {
        "PW": "p@ss/:",
        "URL": "postgresql+psycopg://u:p@localhost:5433/d",
        "U": "name",
        "H": "db.example.com",
        "D": "base",
    }
    text = f"primary: {{domain: R, url: '{url}'}}\n"
    directory = read(folder, text, **environment).primary.directory
    assert expected == directory.url
    assert "p%40ss" not in directory.shown
    assert "p%40ss" not in repr(directory)
    assert ":p@" not in repr(directory)


def test_a_relative_database_belongs_to_the_folder_of_the_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (folder / "some.yaml").write_text("primary: {domain: R, url: 'sqlite:///var/d.db'}\n")
    monkeypatch.chdir(folder.parent)
    settings = read_directory_assistance(Path(folder.name) / "some.yaml", environment={})
    monkeypatch.chdir(tmp_path)
    assert settings.primary.directory == sql(folder / "var/d.db")


# --- opening


def test_each_kind_of_directory_is_opened_without_a_connection(folder: Path) -> None:
    opened = [open_directory("Acme", settings) for settings in (sql(folder / "absent.db"), ldap(folder))]
    assert [type(directory) for directory in opened] == [SqlDirectory, CachingDirectory]
    assert [type(each.inner) for each in opened if isinstance(each, CachingDirectory)] == [LdapDirectory]
    for directory in opened:
        directory.close()


def test_a_directory_is_opened_without_a_memory_where_there_shall_be_none(folder: Path) -> None:
    with closing(open_directory("Acme", ldap(folder), lifetimes=None)) as directory:
        assert isinstance(directory, LdapDirectory)


def test_a_database_that_is_not_there_is_a_fault_and_is_not_made(folder: Path) -> None:
    directory = open_directory("Acme", sql(folder / "absent.db"))
    with pytest.raises(DirectoryUnavailable):
        directory.check(deadline=float("inf"))
    directory.close()
    assert not (folder / "absent.db").exists()


def test_what_is_opened_for_reading_cannot_write(tmp_path: Path) -> None:
    (tmp_path / "a.db").touch()
    engine = open_engine(f"sqlite:///{tmp_path / 'a.db'}")
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA query_only").scalar() == 1
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    engine.dispose()


def test_what_is_no_address_cannot_be_opened() -> None:
    with pytest.raises(ValueError, match="expected `sqlite:///FILE`"):
        open_engine("mysql://localhost/d")


# --- mistakes

_MISTAKES = sorted((MISTAKES / "directory_assistance").glob("*.yaml"))


@pytest.mark.parametrize("mistake", _MISTAKES, ids=lambda file: file.stem)
def test_t69_each_mistake_is_told_with_file_line_path_problem_and_hint(folder: Path, mistake: Path) -> None:
    file = folder / mistake.name
    file.write_text(mistake.read_text(encoding="utf-8"), encoding="utf-8")
    anchors = frozenset({"corp", "partner"})
    reading = examine_directory_assistance(file, environment={}, anchors=anchors)
    expected = expected_problems(mistake)
    assert expected == printed(reading.problems)
    errors = [problem for problem in reading.problems if not problem.warning]
    assert (reading.settings is None) == bool(errors)
    if errors:
        with pytest.raises(ConfigurationError) as caught:
            read_directory_assistance(file, environment={}, anchors=anchors)
        assert caught.value.problems == tuple(errors)


def test_there_are_mistakes_to_look_at() -> None:
    assert len(_MISTAKES) > 80


def test_many_mistakes_are_told_at_once_each_with_its_line(folder: Path) -> None:
    reading = examine_directory_assistance(folder / "wrong.yaml", environment={}, anchors=frozenset({"corp"}))
    assert [problem.line for problem in reading.problems] == [3, 5, 8, 9, 11, 12, 15, 17, 18, 19, 20]
    assert "hunter2" not in "".join(map(str, reading.problems))


def test_anchors_are_not_looked_at_where_nobody_knows_them(folder: Path) -> None:
    text = "primary: {domain: R, url: 'sqlite:///d.db', bind_by: name, issued_by: [unheard of]}\n"
    (folder / "some.yaml").write_text(text)
    settings = read_directory_assistance(folder / "some.yaml", environment={})
    assert settings.primary.plan.issued_by == frozenset({"unheard of"})


def test_rules_can_be_printed_whatever_else_is_wrong(folder: Path) -> None:
    (folder / "some.yaml").write_text(CONTRACT_EXAMPLE.replace("o=airius.com", "").replace("5s", "5"))
    reading = examine_directory_assistance(folder / "some.yaml", environment={})
    assert reading.settings is None
    assert [(name, render_rule(rule)) for name, rule in reading.rules] == [
        ("Acme West", "*/*/*/West/Acme/*"),
        ("Partners", "*/*/*/*/Partners/*"),
        ("Corp", "DC=corp,DC=example,DC=com"),
    ]


def test_a_file_that_is_not_there_is_a_problem(folder: Path) -> None:
    reading = examine_directory_assistance(folder / "nowhere.yaml", environment={})
    assert printed(reading.problems) == ["error nowhere.yaml:0: cannot be read: No such file or directory"]


_KEYS = sorted(
    {
        key
        for model in (FileModel, PrimaryModel, DomainModel, LdapModel, RuleModel)
        for key in model.model_fields
    }
    | {
        "dn",
        "password_file",
        "password",
        "external",
        "certificate",
        "key",
        "ca_file",
        "minimum_version",
        "mail",
    }
    | {"filter", "multiple", "nested", "max_depth", "style"}
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(confused_texts(*_KEYS) | st.text(st.characters(exclude_categories=["Cs"]), max_size=100))
def test_t69_any_text_gives_settings_or_problems_and_never_another_exception(text: str) -> None:
    folder = _PROPERTY_FOLDER
    (folder / "any.yaml").write_text(text, encoding="utf-8")
    reading = examine_directory_assistance(folder / "any.yaml", environment={"X": "x"})
    assert (reading.settings is None) == any(not problem.warning for problem in reading.problems)


_PROPERTY_FOLDER = Path()


@pytest.fixture(autouse=True, scope="module")
def _property_folder(folder: Path) -> None:
    global _PROPERTY_FOLDER  # noqa: PLW0603 - hypothesis passes no fixture of another scope into its examples
    _PROPERTY_FOLDER = folder


def test_an_ldif_file_has_the_ways_of_ldap_entries(folder: Path) -> None:
    plan = "find_by: [sid, upn, uid, {filter: '(employeeNumber={subject.uid})'}], bind_by: sid, issued_by: [corp]"
    partners = domain(folder, f"type: ldif, file: partners.ldif, {plan}")
    assert partners.directory == LdifSettings(path=folder / "partners.ldif")
    assert [way.find_by for way in partners.plan.ways] == [FindBy.SID, FindBy.UPN, FindBy.UID, FindBy.FILTER]
    assert partners.plan.bind_by is BindBy.SID


def test_an_ldif_file_may_be_larger_than_files_of_configuration(folder: Path) -> None:
    with (folder / "large.ldif").open("wb") as file:
        file.truncate(5 * 1024 * 1024)
    partners = domain(folder, "type: ldif, file: large.ldif")
    assert partners.directory == LdifSettings(path=folder / "large.ldif")


def test_an_ldif_directory_is_opened_without_a_look_at_its_content(folder: Path) -> None:
    (folder / "broken.ldif").write_text("no LDIF\n", encoding="utf-8")
    opened = open_directory("Partners", domain(folder, "type: ldif, file: broken.ldif").directory)
    assert isinstance(opened, LdifDirectory)
    with pytest.raises(DirectoryUnavailable, match=r"broken.ldif` cannot be used: line 1: expected `dn:`"):
        opened.check(deadline=deadline())
    opened.close()
