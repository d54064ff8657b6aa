"""What OCSP costs: reading and judging a response, an answer from memory, a question over loopback.

Run by hand: `PYTHONPATH=. .venv/bin/python benchmarks/ocsp.py`.
"""

import time
from collections.abc import Callable
from datetime import timedelta
from ipaddress import ip_network

from authsvc.operations.fetching import Fetcher
from authsvc.operations.ocsp_responders import OcspResponders, OcspSettings
from authsvc.trust.ocsp import ResponseRules, verify_response
from authsvc.trust.ocsp_answer import OcspGood
from authsvc.trust.ocsp_messages import build_request
from tests.support.ocsp import delegate, nonce_extension, nonce_of, response, serial_of, serving_ocsp, single
from tests.support.pki import NOW, small_world
from tests.support.trust import facts_of

_ROUNDS = 5
_RUNS = 2_000
_NONCE = bytes(32)


def _microseconds(
    run: Callable[[], object], runs: int = _RUNS, clock: Callable[[], float] = time.process_time
) -> float:
    """Return what one run takes, the median of some rounds: of computing, unless another clock is given."""
    rounds = []
    for _ in range(_ROUNDS):
        began = clock()
        for _ in range(runs):
            run()
        rounds.append((clock() - began) / runs)
    return sorted(rounds)[_ROUNDS // 2] * 1e6


def main() -> None:
    """Measure, and print."""
    world = small_world()
    dave, issuing = facts_of(world.dave), facts_of(world.issuing)
    responder = delegate(world.issuing)
    said, nonce = single(world.dave, world.issuing), [nonce_extension(_NONCE)]
    direct = response(said, signer=world.issuing, extensions=nonce)
    delegated = response(said, signer=responder, certificates=[responder], extensions=nonce)

    def judge(der: bytes) -> None:
        answer = verify_response(
            der,
            facts=dave,
            issuer=issuing,
            nonce=_NONCE,
            now=NOW,
            rules=ResponseRules(require_nonce=True),
            is_revoked=lambda _facts, _issuer: None,
            source="",
        )
        assert isinstance(answer, OcspGood)

    print(f"a request: {_microseconds(lambda: build_request(dave, issuing, nonce=_NONCE)):.1f} µs")
    print(f"a response that the issuer signed (P-256): {_microseconds(lambda: judge(direct)):.0f} µs")
    print(f"a response of a delegate, two signatures: {_microseconds(lambda: judge(delegated)):.0f} µs")

    def answer_request(request: bytes) -> bytes:
        one = single(
            world.dave, world.issuing, serial=serial_of(request), next_update=NOW + timedelta(days=1)
        )
        return response(
            one,
            signer=responder,
            certificates=[responder],
            extensions=[nonce_extension(nonce_of(request) or b"")],
        )

    with serving_ocsp(answer_request) as server:
        settings = OcspSettings(url=server.url, private_networks=(ip_network("127.0.0.0/8"),))
        responders = OcspResponders(settings, fetcher=Fetcher())
        people = iter([facts_of(world.issuing.issue()) for _ in range(_ROUNDS * 100)])

        def ask_about_the_next() -> None:
            answer = responders.ask(
                next(people), issuing, anchor_id="corp", now=NOW, deadline=time.monotonic() + 10
            )
            assert isinstance(answer, OcspGood)

        asked = _microseconds(ask_about_the_next, 100, time.perf_counter)
        print(f"a question over loopback, responder included: {asked / 1000:.2f} ms")
        responders.ask(dave, issuing, anchor_id="corp", now=NOW, deadline=time.monotonic() + 10)
        found = _microseconds(
            lambda: responders.find_remembered(dave, issuing, anchor_id="corp", now=NOW), 20_000
        )
        print(f"an answer from memory: {found:.2f} µs")


if __name__ == "__main__":
    main()
