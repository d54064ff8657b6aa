"""Who may speak as a front end: all conditions that are given must hold, and none admits nobody."""

from ipaddress import ip_address, ip_network

import pytest

from authsvc.presented.admission import (
    Admitted,
    Caller,
    FrontEndAdmission,
    Refused,
    admit,
    read_secret_lines,
)

SECRET = (b"x-front-end-secret", b"s3cret")
EVERYTHING = FrontEndAdmission(
    peers=(ip_network("10.0.0.0/8"), ip_network("fd00::/8")), secret=b"s3cret", client_name="edge.example"
)
CALLER = Caller(
    unix_socket=False,
    address=ip_address("10.1.2.3"),
    secret_lines=(SECRET,),
    dns_names=("www.example", "EDGE.example"),
)


def caller(**deviation: object) -> Caller:
    base: dict[str, object] = {
        "unix_socket": CALLER.unix_socket,
        "address": CALLER.address,
        "secret_lines": CALLER.secret_lines,
        "dns_names": CALLER.dns_names,
    }
    return Caller(**{**base, **deviation})  # type: ignore[arg-type]  # a table of deviations


def test_a_caller_that_meets_every_condition_is_admitted() -> None:
    assert Admitted() == admit(EVERYTHING, CALLER)


@pytest.mark.parametrize("address", ["10.255.255.255", "fd12::1", "::ffff:10.0.0.1"])
def test_a_peer_of_any_network_is_admitted(address: str) -> None:
    """An IPv4 peer of a dual-stack socket included."""
    assert Admitted() == admit(EVERYTHING, caller(address=ip_address(address)))


NOT_A_PEER = "`11.0.0.1` is in none of the networks under `peers`"
NOT_OURS = "the secret is not ours"
NOT_NAMED = "the caller's certificate does not name `edge.example`"
ONE_LINE = "expected one line of `X-Front-End-Secret`, found "
MISSPELT = ((b"x_front_end_secret", b"s3cret"),)
REFUSED = {
    "T01 an address outside": (caller(address=ip_address("11.0.0.1")), NOT_A_PEER),
    "T85 no address": (caller(address=None), NOT_A_PEER.replace("11.0.0.1", "unknown")),
    "a mapped address outside": (caller(address=ip_address("::ffff:11.0.0.1")), NOT_A_PEER),
    "no secret": (caller(secret_lines=()), f"{ONE_LINE}0"),
    "another secret": (caller(secret_lines=((SECRET[0], b"S3cret"),)), NOT_OURS),
    "a longer secret": (caller(secret_lines=((SECRET[0], b"s3cret1"),)), NOT_OURS),
    "an empty secret": (caller(secret_lines=((SECRET[0], b""),)), NOT_OURS),
    "T03 the secret twice": (caller(secret_lines=(SECRET, SECRET)), f"{ONE_LINE}2"),
    "T04 the secret in another spelling": (caller(secret_lines=MISSPELT), f"{ONE_LINE}1"),
    "no certificate": (caller(dns_names=()), NOT_NAMED),
    "another name": (caller(dns_names=("edge.example.org",)), NOT_NAMED),
    "a wildcard name": (caller(dns_names=("*.example",)), NOT_NAMED),
}


@pytest.mark.parametrize(("deviant", "problem"), REFUSED.values(), ids=REFUSED.keys())
def test_one_condition_that_does_not_hold_refuses(deviant: Caller, problem: str) -> None:
    assert Refused(problem=problem) == admit(EVERYTHING, deviant)


def test_t01_without_a_condition_nobody_is_admitted() -> None:
    assert Refused(problem="this front end has no condition to admit anybody") == admit(
        FrontEndAdmission(), CALLER
    )


@pytest.mark.parametrize(
    "admission",
    [
        FrontEndAdmission(peers=EVERYTHING.peers),
        FrontEndAdmission(secret=b"s3cret"),
        FrontEndAdmission(client_name="edge.example"),
    ],
    ids=["peers", "secret", "client name"],
)
def test_each_condition_alone_admits_and_refuses(admission: FrontEndAdmission) -> None:
    nobody = Caller(unix_socket=False, address=ip_address("192.0.2.1"))
    assert Admitted() == admit(admission, CALLER)
    assert isinstance(admit(admission, nobody), Refused)


def test_a_unix_socket_needs_nothing_more() -> None:
    assert Admitted() == admit(FrontEndAdmission(), Caller(unix_socket=True))


def test_what_is_given_must_hold_on_a_unix_socket_too() -> None:
    admission = FrontEndAdmission(secret=b"s3cret")
    assert isinstance(admit(admission, Caller(unix_socket=True)), Refused)
    assert Admitted() == admit(admission, Caller(unix_socket=True, secret_lines=(SECRET,)))
    assert isinstance(admit(FrontEndAdmission(peers=EVERYTHING.peers), Caller(unix_socket=True)), Refused)


def test_an_empty_secret_of_ours_admits_nobody() -> None:
    """An empty secret file must not open the door to an empty header."""
    assert isinstance(admit(FrontEndAdmission(secret=b""), caller(secret_lines=((SECRET[0], b""),))), Refused)


def test_an_empty_name_of_ours_admits_nobody() -> None:
    assert isinstance(admit(FrontEndAdmission(client_name=""), caller(dns_names=("",))), Refused)


def test_space_around_the_secret_does_not_count() -> None:
    assert Admitted() == admit(EVERYTHING, caller(secret_lines=((SECRET[0], b" s3cret\t"),)))


def test_secret_lines_are_found_in_every_spelling() -> None:
    other = (b"x_front_end_secret", b"x")
    assert (SECRET, other) == read_secret_lines([(b"host", b"a"), SECRET, other])


def test_t04_connection_naming_the_secret_refuses_it() -> None:
    lines = read_secret_lines([SECRET, (b"connection", b"X-Front-End-Secret")])
    assert isinstance(admit(EVERYTHING, caller(secret_lines=lines)), Refused)


def test_secrets_stay_out_of_texts() -> None:
    assert "s3cret" not in repr(EVERYTHING) + repr(CALLER)
