"""From a request to a database and a requirement: parameters, routes, paths, methods (contract section 1)."""

import re
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from authsvc.access.acl import AclError, Level, Privilege, Requirement
from authsvc.access.database_key import LONGEST_DATABASE_NAME, DatabaseNameError, database_key
from authsvc.access.databases import (
    DatabaseTarget,
    IdentityTarget,
    RefusedTarget,
    Route,
    RouteError,
    RouteTable,
    Target,
    match_route,
    normalise_path,
    read_requirement,
    read_route,
    requirement_of_method,
    resolve_target,
    shadowed_routes,
    target_of_words,
    unlimited_requirements,
)
from authsvc.access.paths import PathPattern, normalise_host, read_host_pattern
from authsvc.original_request import OriginalRequest
from authsvc.reason import Reason

READER = Requirement(level=Level.READER)
EDITOR = Requirement(level=Level.EDITOR)
CREATE = Requirement(privileges=frozenset({Privilege.CREATE_DOCUMENTS}))
DELETE = Requirement(privileges=frozenset({Privilege.DELETE_DOCUMENTS}))
GET = OriginalRequest(method="GET", uri="/sales.nsf/view?open")
ROUTES = RouteTable(
    routes=(
        read_route(path="/sales.nsf/**", database="Sales.nsf"),
        read_route(path="/wiki/**", database="wiki", methods=["GET", "HEAD"], level="Author"),
        read_route(path="/whoami", identity_only=True),
    )
)


def target(
    query: str | bytes = b"",
    original: OriginalRequest | None = GET,
    *,
    query_is_ours: bool = True,
    routes: RouteTable = ROUTES,
) -> Target:
    """Resolve a target; by default the original request alone decides."""
    octets = query if isinstance(query, bytes) else query.encode()
    return resolve_target(query=octets, original=original, query_is_ours=query_is_ours, routes=routes)


def get(uri: str, method: str = "GET", host: str | None = None) -> OriginalRequest:
    return OriginalRequest(method=method, uri=uri, host=host)


def reason(found: Target) -> str:
    """Return the reason of a refusal, or the kind of target."""
    return found.reason.value if isinstance(found, RefusedTarget) else type(found).__name__


# --- what a method asks for


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("GET", READER),
        ("HEAD", READER),
        ("OPTIONS", READER),
        ("POST", CREATE),
        ("PUT", Requirement(level=Level.AUTHOR)),
        ("PATCH", Requirement(level=Level.AUTHOR)),
        ("DELETE", DELETE),
        ("PROPFIND", EDITOR),
        ("get", EDITOR),
        ("", EDITOR),
    ],
)
def test_a_method_asks_for_what_it_could_do(method: str, expected: Requirement) -> None:
    assert expected == requirement_of_method(method)


# --- parameters


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("database=sales.nsf", DatabaseTarget(database="sales.nsf", requirement=READER)),
        ("database=WIKI", DatabaseTarget(database="wiki", requirement=READER)),
        ("database=mail%2Fdave%20l.nsf", DatabaseTarget(database="mail/dave l.nsf", requirement=READER)),
        ("database=mail/dave+l.nsf", DatabaseTarget(database="mail/dave l.nsf", requirement=READER)),
        ("d%61tabase=x", DatabaseTarget(database="x", requirement=READER)),
        ("database=x&level=editor", DatabaseTarget(database="x", requirement=EDITOR)),
        ("level=Editor&database=x", DatabaseTarget(database="x", requirement=EDITOR)),
        (
            "database=x&privilege=delete_documents&privilege=create_documents&role=Buyer&role=Big+Boss",
            DatabaseTarget(
                database="x",
                requirement=Requirement(
                    privileges=CREATE.privileges | DELETE.privileges, roles=frozenset({"Buyer", "Big Boss"})
                ),
            ),
        ),
        ("identity=only", IdentityTarget()),
    ],
)
def test_parameters_name_database_and_requirement(query: str, expected: Target) -> None:
    assert expected == target(query, get("/nowhere"))


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("db=x", "expected a parameter of `database`, `identity`, `level`, `privilege`, `role`, found `db`"),
        (
            "Database=x",
            "expected a parameter of `database`, `identity`, `level`, `privilege`, `role`, found `Database`",
        ),
        ("&", "expected a parameter of `database`, `identity`, `level`, `privilege`, `role`, found ``"),
        (
            "database=x&",
            "expected a parameter of `database`, `identity`, `level`, `privilege`, `role`, found ``",
        ),
        ("database=x&database=x", "expected parameter `database` once, found it twice"),
        ("database=x&level=reader&level=reader", "expected parameter `level` once, found it twice"),
        ("identity=only&identity=only", "expected parameter `identity` once, found it twice"),
        ("database", "expected a value of parameter `database`, found none"),
        ("database=", "expected a value of parameter `database`, found none"),
        ("database=x&role=", "expected a value of parameter `role`, found none"),
        ("identity=all", "expected `identity=only`, found `identity=all`"),
        ("identity=Only", "expected `identity=only`, found `identity=Only`"),
        ("identity=only&database=x", "expected nothing beside `identity=only`"),
        ("identity=only&level=reader", "expected nothing beside `identity=only`"),
        ("identity=only&privilege=create_documents", "expected nothing beside `identity=only`"),
        ("identity=only&role=Buyer", "expected nothing beside `identity=only`"),
        ("database=%", "expected percent-encoding, found `%`"),
        ("database=a%2", "expected percent-encoding, found `a%2`"),
        ("database=a%zz", "expected percent-encoding, found `a%zz`"),
        ("d%atabase=x", "expected percent-encoding, found `d%atabase`"),
        ("database=%ff", "expected UTF-8 in a parameter, found `%ff`"),
        (b"database=\xff", "expected UTF-8 in a parameter, found `ÿ`"),
        ("database=%ed%a0%80", "expected UTF-8 in a parameter, found `%ed%a0%80`"),
        (
            "database=x&level=boss",
            (
                "expected a level (Manager, Designer, Editor, Author, Reader, Depositor, No Access), "
                "found `boss`"
            ),
        ),
        ("database=x&level=no+access", "expected a level that gives something, found `No Access`"),
        (
            "database=x&role=%0a",
            "expected a role (1 to 255 printable characters, no blank at its ends), found `\\n`",
        ),
    ],
)
def test_a_query_that_is_not_plainly_ours_is_a_bad_request(query: str | bytes, problem: str) -> None:
    assert RefusedTarget(reason=Reason.BAD_REQUEST, problem=problem) == target(query)


def test_a_value_may_hold_an_equals_sign() -> None:
    assert target("database=x&role=a=b") == DatabaseTarget(
        database="x", requirement=Requirement(roles=frozenset({"a=b"}))
    )


def test_an_unknown_privilege_is_a_bad_request() -> None:
    assert reason(target("database=x&privilege=fly")) == "bad_request"


# --- which of parameter, route and method decides


@pytest.mark.parametrize(
    ("query", "original", "expected"),
    [
        pytest.param(
            "", GET, DatabaseTarget(database="sales.nsf", requirement=READER), id="the route, and the method"
        ),
        pytest.param(
            "database=x",
            GET,
            DatabaseTarget(database="x", requirement=READER),
            id="the parameter wins over the route, the method stays",
        ),
        pytest.param(
            "database=x",
            get("/wiki/a"),
            DatabaseTarget(database="x", requirement=READER),
            id="the parameter wins over the route, its requirement included",
        ),
        pytest.param(
            "database=x",
            get("/whoami"),
            DatabaseTarget(database="x", requirement=READER),
            id="also over identity alone",
        ),
        pytest.param(
            "",
            get("/sales.nsf", "DELETE"),
            DatabaseTarget(database="sales.nsf", requirement=DELETE),
            id="the method is the original one's",
        ),
        pytest.param(
            "level=editor",
            get("/sales.nsf", "POST"),
            DatabaseTarget(database="sales.nsf", requirement=EDITOR),
            id="a requirement by parameter replaces the method's",
        ),
        pytest.param(
            "",
            get("/wiki/a"),
            DatabaseTarget(database="wiki", requirement=Requirement(level=Level.AUTHOR)),
            id="a requirement by route replaces the method's",
        ),
        pytest.param(
            "level=reader&role=Buyer",
            get("/wiki/a"),
            DatabaseTarget(
                database="wiki", requirement=Requirement(level=Level.AUTHOR, roles=frozenset({"Buyer"}))
            ),
            id="by parameter and by route, both hold",
        ),
        pytest.param("", get("/whoami"), IdentityTarget(), id="identity alone by route"),
        pytest.param(
            "identity=only", GET, IdentityTarget(), id="identity alone by parameter wins over the route"
        ),
        pytest.param(
            "identity=only", None, IdentityTarget(), id="identity alone without an original request"
        ),
        pytest.param(
            "database=x&level=reader",
            None,
            DatabaseTarget(database="x", requirement=READER),
            id="without an original request both come by parameter",
        ),
    ],
)
def test_who_decides(query: str, original: OriginalRequest | None, expected: Target) -> None:
    assert expected == target(query, original)


@pytest.mark.parametrize(
    ("query", "original", "expected", "problem"),
    [
        pytest.param(
            "database=x",
            None,
            "bad_request",
            "expected `level`, `privilege` or `role`: the original method is not known",
            id="a database without a requirement where the method is not known",
        ),
        pytest.param(
            "",
            get("/sales.nsf", ""),
            "bad_request",
            "expected `level`, `privilege` or `role`: the original method is not known",
            id="a route without a requirement where the web server does not tell the method",
        ),
        pytest.param(
            "database=a//b",
            None,
            "bad_request",
            "expected `level`, `privilege` or `role`: the original method is not known",
            id="a bad request goes before an unknown database",
        ),
        pytest.param(
            "level=reader",
            get("/whoami"),
            "bad_request",
            "expected no requirement: route `*/whoami` asks for identity alone",
            id="a requirement beside a route for identity alone",
        ),
        pytest.param(
            "",
            get("/nowhere"),
            "database_unknown",
            "expected a database by parameter or route, found no route for `/nowhere`",
            id="no parameter and no route",
        ),
        pytest.param(
            "level=reader",
            None,
            "database_unknown",
            "expected a database by parameter or route, found no original request",
            id="no parameter and no original request",
        ),
        pytest.param(
            "",
            None,
            "database_unknown",
            "expected a database by parameter or route, found no original request",
            id="nothing at all",
        ),
        pytest.param(
            "",
            get("/wiki/a", "POST"),
            "database_unknown",
            "expected a database by parameter or route, found no route for `/wiki/a`",
            id="a route, but not for this method",
        ),
        pytest.param(
            "database=a//b",
            GET,
            "database_unknown",
            "expected the name of a database, found `a//b`: "
            "its part `` is empty, begins or ends with a space, or ends with a dot",
            id="a text that is no database's name",
        ),
    ],
)
def test_t88_what_is_missing_is_refused_and_never_identity_alone(
    query: str, original: OriginalRequest | None, expected: str, problem: str
) -> None:
    assert RefusedTarget(reason=Reason(expected), problem=problem) == target(query, original)


@pytest.mark.parametrize(
    "query", ["database=public&level=reader", "identity=only", "nonsense&&%", "level=boss"]
)
def test_t81_a_query_behind_an_appended_path_is_the_end_clients_and_nothing_in_it_is_ours(query: str) -> None:
    expected = DatabaseTarget(database="sales.nsf", requirement=READER)
    assert expected == target(query, query_is_ours=False)
    assert expected != target(query), "where the query is ours it counts"


def test_t88_a_write_never_becomes_a_read_because_the_method_is_not_told() -> None:
    assert target("database=x", get("/", "POST")) == DatabaseTarget(database="x", requirement=CREATE)
    assert reason(target("database=x", get("/", ""))) == "bad_request"


@given(
    st.binary(max_size=60),
    st.booleans(),
    st.none() | st.builds(OriginalRequest, method=st.text(), uri=st.text()),
)
@example(b"database=%C3%28", True, None)
def test_any_query_and_any_original_request_give_a_target(
    query: bytes,
    ours: bool,
    original: OriginalRequest | None,
) -> None:
    found = target(query, original, query_is_ours=ours)
    assert isinstance(found, DatabaseTarget | IdentityTarget | RefusedTarget)
    assert not isinstance(found, IdentityTarget) or (ours and query) or original is not None


WORDS = st.sampled_from(["database", "level", "privilege", "role", "identity", "x", ""])
VALUES = st.sampled_from(["sales.nsf", "reader", "only", "create_documents", "Buyer", "", "%", "%41", "+"])


@given(st.lists(st.tuples(WORDS, VALUES), max_size=4), st.booleans())
def test_identity_alone_is_answered_only_where_it_is_asked_for(
    words: list[tuple[str, str]],
    told: bool,
) -> None:
    query = "&".join("=".join(pair) for pair in words)
    found = target(query, GET if told else None)
    assert isinstance(found, IdentityTarget) == (words == [("identity", "only")])


# --- words of the API and the command line


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({"database": "Sales.nsf"}, DatabaseTarget(database="sales.nsf", requirement=READER)),
        ({"database": "x", "level": "editor"}, DatabaseTarget(database="x", requirement=EDITOR)),
        (
            {"database": "x", "privileges": ["create_documents"]},
            DatabaseTarget(database="x", requirement=CREATE),
        ),
        (
            {"database": "x", "roles": ["Buyer"]},
            DatabaseTarget(database="x", requirement=Requirement(roles=frozenset({"Buyer"}))),
        ),
    ],
)
def test_in_the_api_a_missing_requirement_means_reader(words: dict[str, object], expected: Target) -> None:
    assert expected == target_of_words(**words)  # type: ignore[arg-type] # the table above has the right types


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({"database": "x", "level": "boss"}, "bad_request"),
        ({"database": "", "level": "boss"}, "bad_request"),
        ({"database": "x", "level": "No Access"}, "bad_request"),
        ({"database": "x", "privileges": ["fly"]}, "bad_request"),
        ({"database": "x", "roles": [" "]}, "bad_request"),
        ({"database": ""}, "database_unknown"),
        ({"database": "sales\\db"}, "database_unknown"),
    ],
)
def test_words_that_cannot_be_read_are_refused(words: dict[str, object], expected: str) -> None:
    assert expected == reason(target_of_words(**words))  # type: ignore[arg-type] # as above


# --- the key of a database


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("sales.nsf", "sales.nsf"),
        ("SALES.NSF", "sales.nsf"),
        ("Stra\u00dfe", "strasse"),
        ("u\u0308ber", "\u00fcber"),
        ("\u00dcber", "\u00fcber"),
        ("mail/dave lawson.nsf", "mail/dave lawson.nsf"),
        ("a.b", "a.b"),
        ("XYZ", "xyz"),
        (".hidden", ".hidden"),
        ("x" * LONGEST_DATABASE_NAME, "x" * LONGEST_DATABASE_NAME),
    ],
)
def test_t67_database_names_compare_casefolded_and_composed(name: str, key: str) -> None:
    assert key == database_key(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "sales.nsf.",
        "sales.nsf ",
        " sales.nsf",
        "a/ b",
        "a /b",
        "a./b",
        ".",
        "..",
        "a/../b",
        "a//b",
        "/a",
        "a/",
        "sales\\db",
        "a\x00b",
        "a\nb",
        "a\u200bb",
        "a\u202eb",
        "a\u00a0b",
        "a\u2003b",
        "a\u1680b",
        "a\u2028b",
        "a\ud800b",
        "\ue000",
        "\uff53ales.nsf",
        "\ufb01le",
        *(f"a{sign}b" for sign in ":;?#%*\"'<>|,&=@`"),
        "x" * (LONGEST_DATABASE_NAME + 1),
    ],
)
def test_t67_a_text_that_could_be_taken_for_another_name_has_no_key(name: str) -> None:
    with pytest.raises(DatabaseNameError, match=r"^expected the name of a database, found `"):
        database_key(name)
    assert reason(target_of_words(database=name)) == "database_unknown"


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("", "found ``: it has 0 characters, 1 to 200 are possible"),
        ("x" * 201, f"found `{'x' * 200}…`: it has 201 characters, 1 to 200 are possible"),
        ("a\nb", "found `a\\nb`: it holds the character U+000A (`\\n`)"),
        ("a;b", "found `a;b`: it holds the character U+003B (`;`)"),
        ("\ufb01le", "found `\ufb01le`: it holds a compatibility character (write its plain form)"),
        ("a.", "found `a.`: its part `a.` is empty, begins or ends with a space, or ends with a dot"),
    ],
)
def test_the_error_says_what_is_wrong_with_a_database_name(name: str, problem: str) -> None:
    with pytest.raises(DatabaseNameError) as refused:
        database_key(name)
    assert f"expected the name of a database, {problem}" == str(refused.value)


@given(st.text(max_size=30))
def test_a_key_is_its_own_key(name: str) -> None:
    try:
        key = database_key(name)
    except DatabaseNameError:
        return
    assert key == database_key(key)


# --- paths


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("/", "/"),
        ("/sales.nsf/view?open&a=/../", "/sales.nsf/view"),
        ("/a/", "/a/"),
        ("/%73ales%2Ensf/%7e", "/sales.nsf/~"),
        ("/%41%5a%61%7A%30%39%2d%5f", "/AZaz09-_"),
        ("/a%20b", "/a%20b"),
        ("/%c3%bc", "/%C3%BC"),
        ("/a%3fb%23c", "/a%3Fb%23c"),
        ("/...", "/..."),
        ("/.well-known/x", "/.well-known/x"),
        ("/a..b/.c", "/a..b/.c"),
        ("/a:b@c!$&'()*+,=d", "/a:b@c!$&'()*+,=d"),
        ("/a%3Bb", "/a%3Bb"),
        ("/?", "/"),
    ],
)
def test_a_path_ends_at_the_question_mark_and_its_unreserved_escapes_are_decoded(uri: str, path: str) -> None:
    assert path == normalise_path(uri)


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "?",
        "sales.nsf",
        "*",
        "http://host/a",
        " /a",
        "/a#b",
        "/%",
        "/%2",
        "/%zz",
        "/a%2fb",
        "/a%2Fb",
        "/a%5cb",
        "/a%5Cb",
        "/a%00b",
        "/a%25b",
        "/a%252fb",
        "/%2541",
        "//a",
        "/a//b",
        "/a//",
        "/./a",
        "/a/.",
        "/../a",
        "/a/..",
        "/a/../b",
        "/%2e%2e/a",
        "/a/%2E",
        "/a/.%2e/b",
        "/a/..%3b/b",
        "/a/.%3Bx/b",
        "/a\\b",
        "/a;b",
        "/a;jsessionid=1/b",
        "/a\x00b",
        "/a\tb",
        "/a\x7fb",
        "/a%0ab",
        "/a%7Fb",
        "/a%C2%85b",
        "/\u00fc",
        "/a\u2028b",
        "/%ff",
        "/%c0%af",
        "/%ed%a0%80",
    ],
)
def test_t15_a_path_that_another_program_could_read_differently_is_not_normalised(uri: str) -> None:
    assert normalise_path(uri) is None
    everything = RouteTable(routes=(read_route(path="/**", database="x"),))
    assert reason(target("", get(uri), routes=everything)) == "database_unknown"


def test_t15_a_query_may_hold_anything() -> None:
    assert normalise_path("/a?//../%00;\\%") == "/a"


@given(st.text() | st.text(alphabet="/.%2e5cFf0aA;\\?#ab\u00fc").map(lambda text: "/" + text))
def test_normalising_is_total_and_changes_nothing_twice(uri: str) -> None:
    path = normalise_path(uri)
    assert path is None or (path == normalise_path(path) and path.startswith("/"))


@given(st.text(alphabet="abz09-._~!@:+ \u00fc\u20ac", min_size=1, max_size=8), st.data())
def test_t15_how_characters_are_escaped_never_changes_which_route_matches(
    segment: str, data: st.DataObject
) -> None:
    spelled = "".join(
        "".join(f"%{octet:02x}" for octet in character.encode())
        if data.draw(st.booleans()) or not character.isascii() or character == " "
        else character
        for character in segment
    )
    plain, other = normalise_path("/" + quote(segment, safe="")), normalise_path("/" + spelled)
    assert (plain is None) == (other is None)
    if plain is not None and other is not None:
        pattern = PathPattern.parse("/" + quote(segment, safe=""))
        assert pattern.matches(plain)
        assert pattern.matches(other)


# --- patterns


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("/", ["/"], ["/a"]),
        ("/**", ["/", "/a", "/a/b/"], []),
        ("/x", ["/x"], ["/", "/x/", "/x/y", "/X", "/xy"]),
        ("/x/", ["/x/"], ["/x", "/x/y"]),
        ("/x/**", ["/x", "/x/", "/x/y", "/x/y/z"], ["/", "/xy", "/xy/z", "/y/x"]),
        ("/*", ["/x", "/y"], ["/", "/x/", "/x/y"]),
        ("/*/b", ["/a/b", "/c/b"], ["/b", "/a/c", "/a/b/", "//b"]),
        ("/*/**", ["/a", "/a/b"], ["/"]),
        ("/a/*/**", ["/a/b", "/a/b/c"], ["/a", "/a/"]),
        ("/%2A", ["/*", "/%2A"], ["/a"]),
        ("/a b", ["/a%20b"], ["/a"]),
        ("/\u00fc", ["/%C3%BC"], ["/u"]),
        ("/%61", ["/a"], ["/b"]),
        ("/a@b", ["/a@b", "/a%40b"], ["/a"]),
    ],
)
def test_a_star_is_one_segment_and_two_at_the_end_are_everything_below(
    pattern: str, matching: list[str], others: list[str]
) -> None:
    read = PathPattern.parse(pattern)
    assert ([True] * len(matching), [False] * len(others)) == (
        [read.matches(path) for path in matching],
        [read.matches(path) for path in others],
    )


@pytest.mark.parametrize("pattern", ["/a*", "/*a", "/**/a", "/a/**/b", "/***", "/a**", "/**/"])
def test_a_star_elsewhere_is_refused(pattern: str) -> None:
    with pytest.raises(RouteError) as refused:
        PathPattern.parse(pattern)
    assert f"expected `*` as a whole segment, and `**` as the last one only, found `{pattern}`" == str(
        refused.value
    )


@pytest.mark.parametrize(
    "pattern", ["", "a", "//", "/a//b", "/../a", "/a;b", "/a\\b", "/a?b", "/a?", "/a#b", "/%2f", "/\ud800"]
)
def test_a_pattern_that_could_match_nothing_is_refused(pattern: str) -> None:
    without = "`//`, `.` and `..`, `\\`, `;`, `?`, `#`, `%2F`, `%5C`, `%25`"
    with pytest.raises(
        RouteError, match="^" + re.escape(f"expected a path from `/`, without {without}, found `")
    ):
        PathPattern.parse(pattern)


@pytest.mark.parametrize("text", ["/", "/**", "/a/*/b", "/a/**", "/a/"])
def test_a_pattern_prints_as_it_is_written(text: str) -> None:
    assert text == str(PathPattern.parse(text))


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        ("/**", "/"),
        ("/**", "/**"),
        ("/**", "/a/*/b"),
        ("/a/**", "/a"),
        ("/a/**", "/a/"),
        ("/a/**", "/a/*"),
        ("/a/**", "/a/b/**"),
        ("/*", "/a"),
        ("/*", "/*"),
        ("/*/b", "/a/b"),
        ("/*/**", "/a/**"),
        ("/*/**", "/*/b"),
    ],
)
def test_a_pattern_covers_what_matches_fewer_paths(wide: str, narrow: str) -> None:
    assert PathPattern.parse(wide).covers(PathPattern.parse(narrow))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("/", "/**"),
        ("/a", "/b"),
        ("/a", "/*"),
        ("/a", "/a/"),
        ("/a", "/a/**"),
        ("/*", "/"),
        ("/*", "/*/**"),
        ("/*/**", "/**"),
        ("/a/**", "/*/**"),
        ("/a/**", "/b"),
        ("/a/b/**", "/a/**"),
        ("/*/b", "/a/c"),
        ("/a/*", "/a/"),
    ],
)
def test_a_pattern_does_not_cover_what_matches_another_path(one: str, other: str) -> None:
    assert not PathPattern.parse(one).covers(PathPattern.parse(other))


SEGMENTS = st.sampled_from(["a", "b", "*"])
PATTERNS = st.builds(
    lambda parts, below: PathPattern.parse("/" + "/".join([*parts, "**"] if below else parts)),
    st.lists(SEGMENTS, max_size=3),
    st.booleans(),
)
PATHS = st.lists(st.sampled_from(["a", "b", "c"]), max_size=4).map(lambda parts: "/" + "/".join(parts))


@given(PATTERNS, PATTERNS, PATHS)
def test_what_a_covered_pattern_matches_the_covering_one_matches(
    wide: PathPattern, narrow: PathPattern, path: str
) -> None:
    if wide.covers(narrow) and narrow.matches(path):
        assert wide.matches(path)


# --- hosts


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("a.example", "a.example"),
        ("A.Example:8443", "a.example"),
        ("a.example.", "a.example"),
        ("a.example.:443", "a.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example"),
        ("my_host", "my_host"),
        ("10.0.0.1:80", "10.0.0.1"),
        ("[2001:DB8::1]:443", "[2001:db8::1]"),
        ("[::1]", "[::1]"),
        ("", None),
        (".", None),
        ("a..b", None),
        ("a.example..", None),
        (".a", None),
        ("a,b", None),
        ("a b", None),
        ("user@a", None),
        ("a/b", None),
        ("a:", None),
        ("a:port", None),
        ("a:123456", None),
        ("2001:db8::1", None),
        ("[::1", None),
        ("b\u00fccher.example", None),
        ("a\n", None),
        ("*", None),
    ],
)
def test_a_host_is_compared_in_lower_case_without_port_and_trailing_dot(
    host: str, expected: str | None
) -> None:
    assert expected == normalise_host(host)


@pytest.mark.parametrize("text", ["", "a:80", "a.", "*.example", "a b", "**"])
def test_the_host_of_a_route_is_a_star_or_one_host_without_port(text: str) -> None:
    assert [read_host_pattern("*"), read_host_pattern("A.example")] == ["*", "a.example"]
    with pytest.raises(RouteError) as refused:
        read_host_pattern(text)
    assert f"expected host `*`, or a host name without port, found `{text}`" == str(refused.value)


# --- routes


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ({}, "expected either `database` or `identity_only`, found neither"),
        (
            {"database": "x", "identity_only": True},
            "expected either `database` or `identity_only`, found both",
        ),
        (
            {"identity_only": True, "level": "reader"},
            "expected no requirement beside `identity_only`, found `level=Reader`",
        ),
        (
            {"database": "x", "methods": []},
            "expected methods in capitals, or no `methods` for all of them, found none",
        ),
        (
            {"database": "x", "methods": ["GET", "get"]},
            "expected methods in capitals, or no `methods` for all of them, found `get`",
        ),
        (
            {"database": "x", "methods": ["GET "]},
            "expected methods in capitals, or no `methods` for all of them, found `GET `",
        ),
    ],
)
def test_a_route_that_contradicts_itself_is_refused(words: dict[str, object], problem: str) -> None:
    with pytest.raises(RouteError) as refused:
        read_route(path="/x", **words)  # type: ignore[arg-type] # wrong on purpose
    assert problem == str(refused.value)


@pytest.mark.parametrize(
    "words",
    [
        {"path": "x", "database": "x"},
        {"path": "/x", "host": "a b", "database": "x"},
        {"path": "/x", "database": "x."},
        {"path": "/x", "database": ""},
        {"path": "/x", "database": "x", "level": "no access"},
        {"path": "/x", "database": "x", "privileges": ["fly"]},
        {"path": "/x", "database": "x", "roles": [""]},
    ],
)
def test_a_route_with_a_mistake_in_any_part_is_refused(words: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"^expected "):
        read_route(**words)  # type: ignore[arg-type] # wrong on purpose


def test_a_route_holds_what_is_written_normalised() -> None:
    read = read_route(
        path="/x/**",
        host="A.example",
        methods=["PUT", "GET", "M-SEARCH"],
        database="Sales.NSF",
        level="editor",
        privileges=["delete_documents"],
        roles=["Buyer"],
    )
    assert (
        Route(
            host="a.example",
            path=PathPattern(segments=("x",), below=True),
            methods=frozenset({"GET", "PUT", "M-SEARCH"}),
            database="sales.nsf",
            requirement=read_requirement(level="editor", privileges=["delete_documents"], roles=["Buyer"]),
        )
        == read
    )
    assert str(read) == "a.example/x/** (GET, M-SEARCH, PUT)"
    assert str(read_route(path="/x", database="x")) == "*/x"


def route(path: str, database: str, *methods: str, host: str = "*", level: str | None = None) -> Route:
    return read_route(path=path, host=host, methods=list(methods) or None, database=database, level=level)


def decided(original: OriginalRequest, *routes: Route) -> str | None:
    """Return the database of the route that decides."""
    found = match_route(RouteTable(routes=routes), original)
    return None if found is None else found.database


def test_routes_are_tried_in_file_order() -> None:
    first, second = route("/a/**", "first"), route("/**", "second")
    assert decided(get("/a/b"), first, second) == "first"
    assert decided(get("/b"), first, second) == "second"
    assert decided(get("/a/b"), second, first) == "second"
    assert decided(get("/a/b")) is None


def test_t88_a_method_that_a_place_does_not_name_never_falls_through_to_a_wider_route() -> None:
    reads, all_of_it = route("/a/**", "reads", "GET"), route("/**", "all")
    assert decided(get("/a/b", "GET"), reads, all_of_it) == "reads"
    assert decided(get("/a/b", "PUT"), reads, all_of_it) is None
    assert decided(get("/b", "PUT"), reads, all_of_it) == "all"


def test_a_later_route_of_the_same_host_and_path_may_take_the_method() -> None:
    reads, wider, writes = (
        route("/a/**", "reads", "GET"),
        route("/**", "wider"),
        route("/a/**", "writes", "PUT", "POST"),
    )
    assert decided(get("/a/b", "PUT"), reads, wider, writes) == "writes"
    assert decided(get("/a/b", "DELETE"), reads, wider, writes) is None
    assert decided(get("/a/b", "get"), reads, writes) is None
    assert decided(get("/a", "PUT"), reads, route("/a", "writes", "PUT")) is None
    assert (
        decided(get("/a", "PUT"), route("/a", "a", "GET", host="a.b"), route("/a", "b", "PUT", host="a.b"))
        is None
    )
    assert decided(get("/a", "PUT", "x"), route("/a", "a", "GET", host="x"), route("/a", "b", "PUT")) is None


def test_the_first_of_two_routes_that_both_match_decides() -> None:
    assert (
        decided(get("/a"), route("/a", "one", "GET"), route("/a", "two", "GET"), route("/a", "three"))
        == "one"
    )


def test_a_route_with_a_host_is_for_that_host() -> None:
    one, other = route("/**", "one", host="one.example"), route("/**", "other")
    assert decided(get("/a", host="ONE.example:443"), one, other) == "one"
    assert decided(get("/a", host="two.example"), one, other) == "other"


@pytest.mark.parametrize(
    "host", ["one.example,two.example", "one.example/", "", " one.example", "u@one.example"]
)
def test_t15_a_host_that_cannot_be_normalised_matches_nothing(host: str) -> None:
    assert decided(get("/a", host=host), route("/**", "other")) is None
    assert decided(get("/a", host="one.example"), route("/**", "other")) == "other"


def test_t15_where_no_host_is_told_a_route_that_asks_for_one_is_not_passed_over() -> None:
    one, other = route("/a/**", "one", host="one.example"), route("/**", "other")
    assert decided(get("/a"), one, other) is None
    assert decided(get("/b"), one, other) == "other"
    assert decided(get("/a"), other, one) == "other"


def test_a_table_says_whether_it_reads_hosts() -> None:
    assert not ROUTES.reads_host
    assert RouteTable(routes=(*ROUTES.routes, route("/x", "x", host="a"))).reads_host


@pytest.mark.parametrize(
    ("routes", "expected"),
    [
        pytest.param([route("/a", "1"), route("/b", "2")], [], id="different places"),
        pytest.param([route("/**", "1"), route("/a", "2")], [(1, 0)], id="a wider path first"),
        pytest.param([route("/a", "1"), route("/**", "2")], [], id="a wider path last"),
        pytest.param([route("/a", "1"), route("/a", "2")], [(1, 0)], id="the same place twice"),
        pytest.param([route("/a", "1", "GET"), route("/a", "2")], [], id="the same place, methods left"),
        pytest.param(
            [route("/a", "1", "GET"), route("/a", "2", "PUT")], [], id="the same place, other methods"
        ),
        pytest.param(
            [route("/a", "1", "GET", "PUT"), route("/a", "2", "PUT")], [(1, 0)], id="the same methods"
        ),
        pytest.param([route("/a", "1"), route("/a", "2", "PUT")], [(1, 0)], id="all methods, then one"),
        pytest.param(
            [route("/a", "1", "GET"), route("/a", "2", "PUT"), route("/a", "3", "GET", "PUT")],
            [(2, 0)],
            id="two routes take the methods of a third",
        ),
        pytest.param(
            [route("/a", "1", "HEAD"), route("/a", "2", "PUT"), route("/a", "3", "PUT")],
            [(2, 1)],
            id="named is the route that takes a method",
        ),
        pytest.param(
            [route("/a", "1", "GET"), route("/a", "2", "PUT"), route("/a", "3", "GET", "POST")],
            [],
            id="one method is left",
        ),
        pytest.param(
            [route("/**", "1", "GET"), route("/a", "2", "PUT")],
            [(1, 0)],
            id="a wider path first ends the search whatever its methods",
        ),
        pytest.param(
            [route("/a", "1", "GET"), route("/**", "2"), route("/a", "3", "PUT")],
            [],
            id="the place is reached before the wider path",
        ),
        pytest.param([route("/a", "1", host="h"), route("/a", "2")], [], id="one host, then any"),
        pytest.param([route("/a", "1"), route("/a", "2", host="h")], [(1, 0)], id="any host, then one"),
        pytest.param([route("/a", "1", host="h"), route("/a", "2", host="i")], [], id="different hosts"),
        pytest.param(
            [route("/**", "1", host="h"), route("/a", "2", host="h")],
            [(1, 0)],
            id="the same host, wider path",
        ),
        pytest.param(
            [route("/**", "1"), route("/a", "2"), route("/a", "3")],
            [(1, 0), (2, 0)],
            id="each is listed with the first that covers it",
        ),
    ],
)
def test_a_route_that_can_never_decide_is_found(routes: list[Route], expected: list[tuple[int, int]]) -> None:
    found = shadowed_routes(RouteTable(routes=tuple(routes)))
    assert [(routes[later], routes[earlier]) for later, earlier in expected] == list(found)


ANY_ROUTES = st.lists(
    st.builds(
        Route,
        host=st.sampled_from(["*", "h"]),
        path=PATTERNS,
        methods=st.none() | st.frozensets(st.sampled_from(["GET", "PUT"]), min_size=1),
        database=st.uuids().map(str),
    ),
    max_size=5,
).map(lambda routes: RouteTable(routes=tuple(routes)))


@given(ANY_ROUTES, PATHS, st.sampled_from(["GET", "PUT", "POST"]), st.sampled_from([None, "h", "i"]))
def test_a_shadowed_route_never_decides(table: RouteTable, path: str, method: str, host: str | None) -> None:
    found = match_route(table, get(path, method, host))
    assert found is None or found not in [later for later, _ in shadowed_routes(table)]


@given(ANY_ROUTES)
def test_adding_a_wider_route_at_the_end_never_changes_what_earlier_places_decide(table: RouteTable) -> None:
    wider = RouteTable(routes=(*table.routes, read_route(path="/**", database="wider")))
    for path in ("/a", "/a/b", "/c"):
        for method in ("GET", "PUT", "POST"):
            before, after = match_route(table, get(path, method)), match_route(wider, get(path, method))
            same_place = any(one.path.matches(path) for one in table.routes)
            assert before == after or (before is None and not same_place) or after == wider.routes[-1]


def test_a_route_that_names_a_requirement_without_methods_is_found() -> None:
    every, reads, plain = (
        route("/a", "a", level="reader"),
        route("/b", "b", "GET", level="reader"),
        route("/c", "c"),
    )
    assert (every,) == unlimited_requirements(RouteTable(routes=(every, reads, plain)))


def test_the_errors_of_requirements_are_acl_errors() -> None:
    with pytest.raises(AclError):
        read_requirement(level="boss")
