"""Verification of an LDAP directory, host by host: bind, what kind of server it is, base, schema, indexes.

What lives here: questions that only an administrator asks. What does not: the way to a host
(`verifying_transport.py`), look-ups with a sample (`directory_assistance.verification`).

Invariants:

* Every host has a session of its own and is closed after; the pool of the directory is not touched.
* What the server does not show is `skipped` with the reason, never `ok`.

Standards: RFC 4512 sections 4.2 (subschema) and 5.1 (root DSE).
"""

import re
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Final, assert_never

from directory_assistance.backends.ldap.ad_groups import missing_capability
from directory_assistance.backends.ldap.notifications import choose_means
from directory_assistance.backends.ldap.opening import name_result_code, open_session
from directory_assistance.backends.ldap.questions import (
    ANY_ENTRY,
    FilterQuestion,
    NotAsked,
    plan_questions,
)
from directory_assistance.backends.ldap.root_dse import (
    ROOT_DSE_REQUEST,
    UNKNOWN_ROOT_DSE,
    RootDse,
    contradiction,
    read_root_dse,
)
from directory_assistance.backends.ldap.session import LdapSession, SearchAnswer, SearchRequest
from directory_assistance.backends.ldap.settings import (
    AnonymousBind,
    Bind,
    ExternalBind,
    GroupStyle,
    LdapHost,
    LdapSettings,
    ServerKind,
    SimpleBind,
    read_ldap_uri,
)
from directory_assistance.backends.ldap.verifying_transport import verify_transport
from directory_assistance.candidates import (
    Candidate,
    CertificateCandidate,
    FindBy,
    FindWay,
    IssuerSerialCandidate,
    MatchPlan,
    SidCandidate,
    SubjectKeyIdCandidate,
    TextCandidate,
)
from directory_assistance.dn import read_ldap_dn, render_ldap
from directory_assistance.errors import DirectoryFault, shorten
from directory_assistance.filter_templates import template_attributes
from directory_assistance.filters import Equality, Filter, Or
from directory_assistance.verification import CheckRecorder, Reached

__all__ = ["SLOW_LOOK_UP_MILLISECONDS", "verify_ldap"]

SLOW_LOOK_UP_MILLISECONDS: Final = 50.0
"""A look-up for a value that nobody has which takes longer is probably not indexed: with an index it takes less
than one, and without it ten for each ten thousand entries."""

_SUCCESS, _SIZE_LIMIT, _ADMIN_LIMIT, _NO_SUCH_OBJECT, _UNWILLING = 0, 4, 11, 32, 53

_NOBODY: Final = "authsvc-verify-directory-asks-for-nobody"
_NOBODY_DN: Final = read_ldap_dn(f"CN={_NOBODY}")

_CONTROLS: Final = {
    "1.3.6.1.4.1.4203.1.9.1.1": "syncrepl",
    "2.16.840.1.113730.3.4.3": "persistent search",
    "1.2.840.113556.1.4.528": "change notification",
    "1.2.840.113556.1.4.319": "paged results",
}
"""Controls of interest: three ways to be told of changes, and long answers in parts."""

_NAMES: Final = re.compile(r"NAME\s+(?:'([^']+)'|\(([^)]*)\))")
_OID: Final = re.compile(r"\(\s*([0-9.]+)")
"""AttributeTypeDescription of RFC 4512 section 4.1.2: its object identifier and its names."""

_REFUSED: Final = {
    "invalidCredentials": ("name or password are wrong", "`bind`: `dn`, and what is in its password file"),
    "invalidDNSyntax": ("the name to bind with is no distinguished name", "`bind`: `dn`"),
    "noSuchObject": ("there is no entry of this name", "`bind`: `dn`"),
    "inappropriateAuthentication": (
        "the entry has no password, or the server allows no such bind",
        "a password in the entry, or another `bind`",
    ),
    "strongerAuthRequired": ("the server wants an encrypted connection", "`ldaps://`"),
    "confidentialityRequired": ("the server wants an encrypted connection", "`ldaps://`"),
    "insufficientAccessRights": ("this identity may not bind", "the access rules of the server"),
    "unwillingToPerform": ("the server allows no such bind", "another `bind`, or the server's configuration"),
    "authMethodNotSupported": ("the server knows no such bind", "another `bind`"),
    "busy": ("the server is busy", "try again"),
    "unavailable": ("the server is not ready", "try again"),
}
"""Result codes of a bind (RFC 4511 section 4.1.9): what they mean, and what to change."""

_TEXT_ATTRIBUTE: Final = {
    FindBy.COMMON_NAME: "cn",
    FindBy.MAIL: "mail",
    FindBy.UPN: "userPrincipalName",
    FindBy.UID: "uid",
}


def verify_ldap(  # noqa: PLR0913 - what it depends on is passed in
    recorder: CheckRecorder,
    domain: str,
    settings: LdapSettings,
    plan: MatchPlan,
    *,
    with_groups: bool,
    now: datetime,
    deadline: float,
) -> Reached:
    """Look at every host of a directory.

    Args:
        recorder: where each check goes.
        domain: for the faults.
        settings: how it is reached.
        plan: whose ways tell which attributes are asked for.
        with_groups: whether groups are asked for.
        now: aware, for the days that a certificate has left.
        deadline: monotonic seconds.

    Returns:
        Whether any host could be connected to, and whether any let us in.

    """
    looks = _attributes_asked(settings, plan, with_groups=with_groups)
    connected = answers = False
    for uri in settings.hosts:
        host = read_ldap_uri(uri)
        listens, usable = verify_transport(recorder, host, settings, now=now, deadline=deadline)
        connected = connected or listens
        session = _verify_bind(recorder, domain, host, settings, deadline) if usable else None
        if session is None:
            advice = "see the checks of this host before"
            recorder.skip("base", uri, "not asked: there is no session", advice=advice)
            continue
        answers = True
        try:
            _HostVerifier(recorder, session, uri, settings, looks, deadline).run(plan)
        finally:
            session.close()
    return Reached(connected=connected, answers=answers)


def _verify_bind(
    recorder: CheckRecorder, domain: str, host: LdapHost, settings: LdapSettings, deadline: float
) -> LdapSession | None:
    whom = _whom(settings.bind)
    recorder.begin()
    try:
        session = open_session(domain, host, settings, deadline)
    except DirectoryFault as fault:
        _before, refused, code = fault.problem.rpartition("bind refused: ")
        meaning, advice = _REFUSED.get(code.split(":")[0].strip(), ("", "`bind`, and the log of the server"))
        found = f"refused {whom}: {shorten(code)}" + (f", {meaning}" if meaning else "")
        recorder.fail("bind", host.uri, found if refused else f"{whom}: {fault.problem}", advice=advice)
        return None
    recorder.ok("bind", host.uri, whom)
    return session


def _whom(bind: Bind) -> str:
    match bind:
        case AnonymousBind():
            return "anonymous"
        case SimpleBind(dn=dn):
            return f"as `{shorten(dn)}`"
        case ExternalBind(certificate=certificate):
            return f"as the client certificate `{certificate.name}` says"
        case _:
            assert_never(bind)


# --- which attributes are asked for


def _attributes_asked(settings: LdapSettings, plan: MatchPlan, *, with_groups: bool) -> tuple[str, ...]:
    """Return every attribute that a filter of ours names, without options, each once."""
    asked: list[str] = []
    for way in plan.ways:
        asked.extend(_attributes_of_way(way, settings))
    if settings.name_attribute is not None:
        asked.append(settings.name_attribute)
    if with_groups:
        asked.extend(_MEMBER_ATTRIBUTES[settings.group_style])
    return tuple(dict.fromkeys(name.partition(";")[0] for name in asked))


_MEMBER_ATTRIBUTES: Final = {
    GroupStyle.MEMBER: ("member",),
    GroupStyle.UNIQUE_MEMBER: ("uniqueMember",),
    GroupStyle.BOTH: ("member", "uniqueMember"),
    GroupStyle.TOKEN_GROUPS: ("objectSid",),
    GroupStyle.IN_CHAIN: ("member",),
}


def _attributes_of_way(way: FindWay, settings: LdapSettings) -> tuple[str, ...]:
    if way.template is not None:
        return tuple(sorted(template_attributes(way.template)))
    return tuple(name for each in _filters_of_way(way, settings) for name in _attributes_in(each))


def _filters_of_way(way: FindWay, settings: LdapSettings) -> tuple[Filter, ...]:
    """Return the filters of a way with a value that nobody has; none where there is no such value."""
    candidate = _nobody(way.find_by)
    questions = NotAsked(why="") if candidate is None else plan_questions(candidate, settings)
    if isinstance(questions, NotAsked):
        return ()
    return tuple(question.filter for question in questions if isinstance(question, FilterQuestion))


def _nobody(find_by: FindBy) -> Candidate | None:
    match find_by:
        case FindBy.COMMON_NAME | FindBy.MAIL | FindBy.UPN | FindBy.UID:
            return TextCandidate(find_by=find_by, text=_NOBODY)
        case FindBy.CERTIFICATE:
            return CertificateCandidate(der=_NOBODY.encode(), issuer=_NOBODY_DN, serial=1)
        case FindBy.ISSUER_SERIAL:
            return IssuerSerialCandidate(issuer=_NOBODY_DN, serial=1)
        case FindBy.SUBJECT_KEY_ID:
            return SubjectKeyIdCandidate(subject_key_id=_NOBODY.encode())
        case FindBy.SID:
            return SidCandidate(sid="S-1-5-21-0-0-0-0")
        case FindBy.SUBJECT | FindBy.FILTER:
            return None
        case _:
            assert_never(find_by)


def _attributes_in(node: Filter) -> tuple[str, ...]:
    if isinstance(node, Equality):
        return (node.attribute,)
    parts = node.parts if isinstance(node, Or) else ()
    return tuple(name for part in parts for name in _attributes_in(part))


# --- one host


class _HostVerifier:
    """The questions to one host, over one session."""

    def __init__(  # noqa: PLR0913, PLR0917 - made in one place
        self,
        recorder: CheckRecorder,
        session: LdapSession,
        uri: str,
        settings: LdapSettings,
        attributes: tuple[str, ...],
        deadline: float,
    ) -> None:
        self._recorder = recorder
        self._session = session
        self._uri = uri
        self._settings = settings
        self._attributes = attributes
        self._deadline = deadline
        self._base = render_ldap(settings.base)

    def run(self, plan: MatchPlan) -> None:
        """Ask everything; the first question without an answer ends it."""
        checks = (
            ("root_dse", self._verify_root_dse),
            ("base", self._verify_base),
            ("attributes", self._verify_attributes),
            ("indexes", lambda: self._verify_indexes(plan)),
        )
        for name, verify in checks:
            self._recorder.begin()
            try:
                verify()
            except DirectoryFault as fault:
                advice = "whether the server is overloaded, and its log; `timeout`"
                self._recorder.fail(name, self._uri, fault.problem, advice=advice)
                return

    def _search(
        self, base: str, filter_: Filter, attributes: Sequence[str], *, subtree: bool = False
    ) -> SearchAnswer:
        request = SearchRequest(
            base=base,
            scope="SUBTREE" if subtree else "BASE",
            filter=filter_,
            attributes=attributes,
            size_limit=1,
        )
        return self._session.search(request, self._until())

    def _until(self) -> float:
        return min(time.monotonic() + self._settings.timeout.total_seconds(), self._deadline)

    def _read(self, base: str, attributes: Sequence[str]) -> dict[str, tuple[str, ...]] | None:
        """Read one entry as text; None where it is not there or may not be read."""
        answer = self._search(base, ANY_ENTRY, attributes)
        if answer.code != _SUCCESS or not answer.entries:
            return None
        return {
            name: tuple(octets.decode("utf-8", "replace") for octets in values)
            for name, values in answer.entries[0].values.items()
        }

    def _root_dse(self) -> RootDse:
        answer = self._session.search(ROOT_DSE_REQUEST, self._until())
        return read_root_dse(answer.entries[0]) if answer.entries else UNKNOWN_ROOT_DSE

    def _verify_root_dse(self) -> None:
        recorder, settings, dse = self._recorder, self._settings, self._root_dse()
        configured = settings.server
        if not dse.readable:
            advice = f"let everybody read the root DSE; whether it is a `{configured}` server is not known"
            recorder.skip("root_dse", self._uri, "the server shows nothing of itself", advice=advice)
            return
        controls = [name for oid, name in _CONTROLS.items() if oid in dse.controls]
        product = shorten(dse.product) or "a server that does not say which"
        found = f"{product}, controls: {', '.join(controls) or 'none of interest'}"
        missing = missing_capability(settings.group_style, dse.capabilities)
        if contradiction(dse, configured):
            recorder.fail(
                "root_dse",
                self._uri,
                f"{found}; `server` is `{configured}`, and its questions for certificates find nobody here",
                advice=f"`server: {dse.kind}`",
            )
        elif missing:
            recorder.fail("root_dse", self._uri, f"{found}; {missing}", advice="`groups: {style: member}`")
        elif dse.kind is None and configured is not ServerKind.STANDARD:
            recorder.warn(
                "root_dse",
                self._uri,
                f"{found}; nothing shows that it is a `{configured}` server",
                advice="a `sample`, whose look-up shows it; or `server: standard`",
            )
        else:
            recorder.ok("root_dse", self._uri, found)
        self._verify_changes(dse)

    def _verify_changes(self, dse: RootDse) -> None:
        """Say by what the server tells changes; without, they count a little later."""
        recorder, means = self._recorder, choose_means(dse)
        recorder.begin()
        if not self._settings.watch:
            recorder.skip(
                "changes", self._uri, "`watch: off`", advice="`watch: auto`, and changes count at once"
            )
        elif means is None:
            recorder.warn(
                "changes",
                self._uri,
                "the server offers no way to be told of changes, so they count within seconds only",
                advice="OpenLDAP: the overlay `syncprov`; 389-ds: persistent search, or Content Synchronization",
            )
        else:
            recorder.ok("changes", self._uri, f"told by {means}")

    def _verify_base(self) -> None:
        answer = self._search(self._base, ANY_ENTRY, ("objectClass",))
        base = f"`{shorten(self._base)}`"
        if answer.code == _SUCCESS and answer.entries:
            self._recorder.ok("base", self._uri, base)
            return
        self._recorder.fail(
            "base", self._uri, f"{base}: {self._why_no_base(answer)}", advice=self._base_advice()
        )

    def _why_no_base(self, answer: SearchAnswer) -> str:
        if answer.code == _SUCCESS:
            return "it is hidden from the identity that we bind as"
        if answer.code == _NO_SUCH_OBJECT:
            matched = f"; `{shorten(answer.matched_dn)}` does" if answer.matched_dn else ""
            return f"it does not exist, or may not be read{matched}"
        return f"the server answered {name_result_code(answer.code)}"

    def _base_advice(self) -> str:
        contexts = [context for context in self._root_dse().naming_contexts if context]
        listed = ", ".join(f"`{shorten(context)}`" for context in contexts[:5])
        return f"`base`{f' (the server holds {listed})' if listed else ''}, or what the identity may read"

    def _verify_attributes(self) -> None:
        """Hold the attributes of our filters against the schema: a filter with an unknown one finds nobody."""
        subschema = self._root_dse().subschema or "cn=subschema"
        read = self._read_schema(subschema)
        listed = ", ".join(f"`{name}`" for name in self._attributes)
        if read is None:
            advice = "let our identity read the subschema, or try the filters by hand"
            found = (
                f"the schema `{shorten(subschema)}` cannot be read, so nobody knows whether it has {listed}"
            )
            self._recorder.skip("attributes", self._uri, found, advice=advice)
            return
        unknown = [name for name in self._attributes if name.casefold() not in read]
        if unknown:
            named = ", ".join(f"`{name}`" for name in unknown)
            found = f"the server knows no {named}: a filter with it finds nobody, and says success"
            advice = "the spelling in `find_by`, `filter` or `name_attribute`, or the schema of the server"
            self._recorder.fail("attributes", self._uri, found, advice=advice)
        else:
            self._recorder.ok("attributes", self._uri, listed or "none is asked for")

    def _read_schema(self, subschema: str) -> frozenset[str] | None:
        """Return the names and object identifiers of every attribute type, casefolded."""
        values = self._read(subschema, ("attributeTypes",))
        types = () if values is None else values.get("attributetypes", ())
        known: set[str] = set()
        for text in types:
            match = _NAMES.search(text)
            if match is not None:
                known.update(re.findall(r"[^\s']+", match[1] or match[2]))
            if (oid := _OID.match(text)) is not None:
                known.add(oid[1])
        return frozenset(name.casefold() for name in known) or None

    def _verify_indexes(self, plan: MatchPlan) -> None:
        """Time look-ups for a value that nobody has; the configuration of indexes is not ours to read."""
        slow: list[str] = []
        took: list[str] = []
        for filter_, attribute in self._timed_filters(plan):
            begun = time.monotonic()
            answer = self._search(self._base, filter_, ("objectClass",), subtree=True)
            milliseconds = (time.monotonic() - begun) * 1000
            shown = f"`{attribute}` {milliseconds:.1f} ms"
            took.append(shown)
            if answer.code in {_SIZE_LIMIT, _ADMIN_LIMIT, _UNWILLING}:
                slow.append(f"`{attribute}` {name_result_code(answer.code)}")
            elif milliseconds > SLOW_LOOK_UP_MILLISECONDS:
                slow.append(shown)
        if slow:
            found = f"probably not indexed for equality: {', '.join(slow)}"
            advice = "an equality index on the server: each of these look-ups reads every entry"
            self._recorder.warn("indexes", self._uri, found, advice=advice)
        elif took:
            self._recorder.ok("indexes", self._uri, f"a value that nobody has: {', '.join(took)}")
        else:
            self._recorder.skip(
                "indexes",
                self._uri,
                "no way has a filter of ours to time",
                advice="index what your filters compare",
            )

    def _timed_filters(self, plan: MatchPlan) -> list[tuple[Filter, str]]:
        """Return what is timed, by attribute.

        Each way's filter; of a template each attribute by itself; members and the name attribute by a name of nobody.
        """
        timed: dict[str, Filter] = {}
        for way in plan.ways:
            if way.template is not None:
                for name in sorted(template_attributes(way.template)):
                    timed.setdefault(name, Equality(attribute=name, value=_NOBODY))
            for filter_ in _filters_of_way(way, self._settings):
                names = _attributes_in(filter_)
                timed.setdefault(names[0].partition(";")[0] if names else way.find_by, filter_)
        for name in self._attributes:
            if name in {"member", "uniqueMember", self._settings.name_attribute}:
                timed.setdefault(name, Equality(attribute=name, value=render_ldap(_NOBODY_DN)))
        return [(filter_, name) for name, filter_ in timed.items()]
