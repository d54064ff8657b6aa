"""Verification of a directory by its kind: what is asked before any look-up.

What lives here: which checks a kind of directory has, and those of SQL. What does not: those of LDAP
(`ldap/verifying.py`), look-ups with a sample (`directory_assistance.verification`), the schema that a version
of the service wants, which whoever calls knows.
"""

from collections.abc import Callable
from datetime import datetime
from typing import assert_never

from sqlalchemy import Engine, func, select
from sqlalchemy.exc import SQLAlchemyError

from directory_assistance.backends.ldap.settings import LdapSettings
from directory_assistance.backends.ldap.verifying import verify_ldap
from directory_assistance.backends.ldif.settings import LdifSettings
from directory_assistance.domains import AnyDomain, GroupAuthorization, PrimaryDomain
from directory_assistance.errors import DirectoryFault, shorten
from directory_assistance.sql_engine import SqlSettings, open_engine
from directory_assistance.sql_tables import certificates, groups, people
from directory_assistance.verification import CheckRecorder, Reached

__all__ = ["kind_of", "verify_kind"]


def kind_of(settings: SqlSettings | LdapSettings | LdifSettings) -> str:
    """Return the kind of a directory, as `type` names it."""
    match settings:
        case SqlSettings():
            return "sql"
        case LdapSettings():
            return "ldap"
        case LdifSettings():
            return "ldif"
        case _:
            assert_never(settings)


def verify_kind(  # noqa: PLR0913 - what it depends on is passed in
    recorder: CheckRecorder,
    domain: AnyDomain,
    settings: SqlSettings | LdapSettings | LdifSettings,
    *,
    schema_problem: Callable[[SqlSettings], str],
    now: datetime,
    deadline: float,
) -> Reached:
    """Look at the connection to a directory, and at what it is.

    Args:
        recorder: where each check goes.
        domain: the open directory.
        settings: what it was opened with.
        schema_problem: says what is wrong with the schema of an sql directory; empty for nothing.
        now: aware, for the days that certificates of servers have left.
        deadline: monotonic seconds.

    Returns:
        Whether it could be connected to, and asked.

    """
    match settings:
        case SqlSettings():
            return _verify_sql(recorder, domain, settings, schema_problem, deadline)
        case LdapSettings():
            with_groups = isinstance(domain, PrimaryDomain) or (
                domain.group_authorization is not GroupAuthorization.NONE
            )
            return verify_ldap(
                recorder,
                domain.domain,
                settings,
                domain.plan,
                with_groups=with_groups,
                now=now,
                deadline=deadline,
            )
        case LdifSettings():
            answers = _verify_reachable(recorder, domain, f"file `{settings.path.name}`", deadline)
            return Reached(connected=answers, answers=answers)
        case _:
            assert_never(settings)


def _verify_reachable(recorder: CheckRecorder, domain: AnyDomain, subject: str, deadline: float) -> bool:
    """Ask the cheapest question that shows a directory answers: every kind has that."""
    recorder.begin()
    try:
        domain.directory.check(deadline=deadline)
    except DirectoryFault as fault:
        recorder.fail("answers", subject, fault.problem, advice="what is said here: decisions are undecided")
        return False
    recorder.ok("answers", subject, "it answers")
    return True


def _verify_sql(
    recorder: CheckRecorder,
    domain: AnyDomain,
    settings: SqlSettings,
    schema_problem: Callable[[SqlSettings], str],
    deadline: float,
) -> Reached:
    """Connect, hold the schema against that of this version, ask what every kind is asked, count."""
    engine = open_engine(settings.url)
    try:
        if not _verify_connect(recorder, engine, settings):
            return Reached(connected=False, answers=False)
        problem = schema_problem(settings)
        if problem:
            advice = "`authsvc apply` or `authsvc serve` makes or migrates a schema; a newer one needs a newer authsvc"
            recorder.fail("schema", settings.shown, problem, advice=advice)
            return Reached(connected=True, answers=False)
        recorder.ok("schema", settings.shown, "that of this version")
        answers = _verify_reachable(recorder, domain, settings.shown, deadline)
        if answers:
            _verify_counts(recorder, engine, settings)
        return Reached(connected=True, answers=answers)
    finally:
        engine.dispose()


def _verify_connect(recorder: CheckRecorder, engine: Engine, settings: SqlSettings) -> bool:
    recorder.begin()
    try:
        with engine.connect():
            pass
    except SQLAlchemyError as error:
        advice = "`url`, whether the database is there and runs, and whether our user may open it"
        recorder.fail("connect", settings.shown, _said(error), advice=advice)
        return False
    recorder.ok("connect", settings.shown, "connected")
    return True


def _verify_counts(recorder: CheckRecorder, engine: Engine, settings: SqlSettings) -> None:
    recorder.begin()
    try:
        with engine.connect() as connection:
            counts = [
                connection.execute(select(func.count()).select_from(table)).scalar_one()
                for table in (people, certificates, groups)
            ]
    except SQLAlchemyError as error:
        advice = "whether the database is overloaded or being restored"
        recorder.fail("entries", settings.shown, _said(error), advice=advice)
        return
    found = f"{counts[0]} people, {counts[1]} certificates, {counts[2]} groups"
    if counts[0]:
        recorder.ok("entries", settings.shown, found)
    else:
        recorder.warn("entries", settings.shown, found, advice="`authsvc apply` a document with people")


def _said(error: SQLAlchemyError) -> str:
    """Say what the driver says: SQLAlchemy's words repeat the statement."""
    cause = getattr(error, "orig", None) or error
    return shorten(" ".join(str(cause).split()))
