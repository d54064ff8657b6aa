"""Threat T62: nothing that anybody writes is ever a regular expression, and what is read takes time in proportion.

There are no regular expressions of administrators. Naming rules are read in `naming.py` (six parts compared one by
one, or a sequence of RDNs), filter templates in `filter_templates.py`, routes in `authsvc/access/routes.py` (segments),
ACL wildcards in `dn_reading.py` (components). The file they stand in has at most four MiB (`yaml_lines.py`).
"""

import ast
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

import authsvc
import directory_assistance
from authsvc.access.paths import normalise_path
from authsvc.access.routes import read_route
from authsvc.presented.body import read_body
from authsvc.presented.body import read_certificate_file as read_presented_file
from authsvc.presented.encodings import read_pem_certificate
from authsvc.store.certificates import read_certificate_file, read_pem
from authsvc.trust.anchors import read_pem_blocks
from directory_assistance.alternative_identities import (
    read_issuer_serial_identity,
    read_key_id_identity,
)
from directory_assistance.dn import read_ldap_dn, read_member, read_name
from directory_assistance.errors import NameSyntaxError
from directory_assistance.filter_templates import read_filter_template
from directory_assistance.identifiers import read_uuid
from directory_assistance.naming import match_rule, read_naming_rule, read_suffix_rule

SOURCES = [
    path
    for package in (authsvc, directory_assistance)
    for path in sorted(Path(str(package.__file__)).parent.rglob("*.py"))
]
ENGINE = {"compile", "match", "fullmatch", "search", "findall", "finditer", "split", "sub", "subn"}


def patterns_in(tree: ast.Module) -> Iterator[tuple[int, ast.expr]]:
    """Yield each pattern that a module gives to `re`, and its line."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id == "re"
            and node.func.attr in ENGINE
        ):
            yield node.lineno, node.args[0]


def is_written_down(pattern: ast.expr) -> bool:
    """Whether a pattern is a literal, or made of literals and module constants."""
    match pattern:
        case ast.Constant(value=str() | bytes()):
            return True
        case ast.JoinedStr(values=parts):
            return all(isinstance(part, ast.Constant) or _is_constant(part) for part in parts)
        case _:
            return False


def _is_constant(part: ast.expr) -> bool:
    match part:
        case ast.FormattedValue(
            value=ast.Name(id=name) | ast.Attribute(value=ast.Name(id=name), attr="pattern")
        ):
            return name.isupper()
        case _:
            return False


def test_t62_every_regular_expression_is_written_in_the_source() -> None:
    found = 0
    for path in SOURCES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        aliases = [
            name.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module in {"re", "regex", "re2"}
            for name in node.names
        ]
        assert aliases == [], f"{path}: `re` is imported whole, so that its use can be seen"
        for line, pattern in patterns_in(tree):
            assert is_written_down(pattern), f"{path}:{line}: {ast.unparse(pattern)} is not written down"
            found += 1
    assert found > 40


def test_a_pattern_made_of_a_value_would_be_seen() -> None:
    """What makes the test above able to fail."""
    seen = patterns_in(ast.parse("import re\nA = re.compile(rule)\ndef f(x): return re.match('a', x)"))
    assert [(line, is_written_down(pattern)) for line, pattern in seen] == [(2, False), (3, True)]
    assert not is_written_down(ast.parse("f'{rule}'", mode="eval").body)
    assert is_written_down(ast.parse("f'[{LETTERS}]{_WORD.pattern}'", mode="eval").body)


METACHARACTERS = ["a.c", "a+", "[ab]c", "(a|b)", "a{2}", "^a$", r"a\w", ".*", "(a+)+$", "a?"]


@pytest.mark.parametrize("text", METACHARACTERS)
def test_t62_what_another_product_reads_as_a_pattern_is_a_literal_here(text: str) -> None:
    """A rule, a route and a member of these characters mean exactly these characters."""
    with suppress(NameSyntaxError):  # a reader may refuse them, too
        rule = read_naming_rule(f"*/{text}", trusted=True)
        for organisation in ("abc", "aa", "ac", "a", "aaaa", "b"):
            if organisation != text:
                assert not match_rule(rule, read_name(f"Dave/{organisation}"))
        assert match_rule(rule, read_name(f"Dave/{text}"))
    with suppress(NameSyntaxError):
        assert read_member(text) != read_member("abc")


HOSTILE: dict[str, Callable[[int], str]] = {
    "a letter": lambda n: "a" * n,
    "a letter and an end that does not fit": lambda n: "a" * n + "!",
    "blanks": lambda n: " " * n + "x",
    "stars": lambda n: "*" * n,
    "brackets": lambda n: "(" * n,
    "brackets with a letter": lambda n: "(a+" * (n // 3) + "$",
    "backslashes": lambda n: "\\" * n,
    "quotes": lambda n: '"' * n + "x",
    "components": lambda n: "a=b," * (n // 4) + "=",
    "components in slashes": lambda n: "a/" * (n // 2) + "=",
    "digits with dots": lambda n: "1." * (n // 2) + "x",
    "blanks round equal signs": lambda n: " = " * (n // 3),
    "escapes": lambda n: "%41" * (n // 3) + "%",
    "placeholders": lambda n: "{" * n,
    "identities": lambda n: "X509:<I>" + "<SR>A" * (n // 5) + "G",
    "an issuer of quotes": lambda n: 'X509:<I>CN="' + '""' * (n // 2) + "<SR>01",
    "an issuer of blanks": lambda n: "X509:<I>CN=a" + " " * n + "x=<SR>01",
    "armour that begins and begins": lambda n: "-----BEGIN X-----" * (n // 17),
    "armour that begins once and ends in other ways": lambda n: (
        "-----BEGIN X-----" + "-----END Y-----" * (n // 15)
    ),
    "armour of certificates that never ends": lambda n: "-----BEGIN CERTIFICATE-----\n" * (n // 28),
    "armour without an end": lambda n: "-----BEGIN CERTIFICATE-----\n" + "A\n" * (n // 2),
}

READERS: dict[str, Callable[[str], object]] = {
    "a naming rule": read_naming_rule,
    "a suffix rule": read_suffix_rule,
    "a filter template": read_filter_template,
    "a name": read_name,
    "a member": read_member,
    "a distinguished name": read_ldap_dn,
    "a path": normalise_path,
    "a route": lambda text: read_route(path=f"/{text}", database="x"),
    "an alternative identity": read_issuer_serial_identity,
    "a key identifier": read_key_id_identity,
    "an identifier": read_uuid,
    "a certificate": read_pem,
    "a file with a certificate": lambda text: read_certificate_file(text.encode()),
    "a certificate of a web server": lambda text: read_pem_certificate(text.encode()),
    "a certificate in a body": read_body,
    "a certificate to explain": lambda text: read_presented_file(text.encode()),
    "anchors": lambda text: read_pem_blocks(text.encode(), labels=frozenset({b"CERTIFICATE"}), source="x"),
}

LONGEST = 131_072
"""Characters: more than any certificate, header or rule may have, so that limits do not hide what reading costs."""

MOST_SECONDS = 2.0
"""Of the processor. Reading so many characters once takes some milliseconds; trying every part of them, minutes."""


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
def test_t62_hostile_text_costs_no_more_than_reading_it(
    hostile: Callable[[int], str], reader: Callable[[str], object]
) -> None:
    text = hostile(LONGEST)
    began = time.process_time()
    with suppress(ValueError):
        reader(text)
    assert time.process_time() - began < MOST_SECONDS
