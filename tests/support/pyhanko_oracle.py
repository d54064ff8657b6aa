"""pyhanko-certvalidator as a process: reads batch cases, one JSON line each, and answers with one line each.

A program of its own (`python -m tests.support.pyhanko_oracle`), started by `oracles.py` alone: it may hang on hostile
pools, and its warnings and its event loop stay out of the tests' process.

What it is told: the intermediates of the case and nothing fetched; the trust anchor as name and key only, as RFC 5280
section 6.1.1 (d) has it; every path to it is tried until one is valid; weak keys and hashes are not its business.
"""

import asyncio
import json
import logging
import sys
import warnings
from datetime import datetime, timedelta

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # asn1crypto and oscrypto are of 2022
    from asn1crypto import crl as asn1_crl
    from asn1crypto import pem as asn1_pem
    from asn1crypto import x509 as asn1_x509
    from pyhanko_certvalidator.context import ValidationContext
    from pyhanko_certvalidator.policy_decl import (
        NO_REVOCATION,
        REQUIRE_REVINFO,
        AcceptAllAlgorithms,
        CertRevTrustPolicy,
        PKIXValidationParams,
    )
    from pyhanko_certvalidator.validate import async_validate_path

from tests.support.batch import BatchCase

_ANY_POLICY = frozenset({"any_policy"})


def _der(pem: str) -> bytes:
    return bytes(asn1_pem.unarmor(pem.encode())[2])


async def _validate(case: BatchCase) -> None:
    """Raise whatever is wrong with the case; the last path's trouble if there are several."""
    at = datetime.fromisoformat(case["at"])
    policy = NO_REVOCATION if case["revocation"] == "off" else REQUIRE_REVINFO
    context = ValidationContext(
        trust_roots=[asn1_x509.Certificate.load(_der(pem)) for pem in case["anchors"]],
        other_certs=[asn1_x509.Certificate.load(_der(pem)) for pem in case["intermediates"]],
        crls=[asn1_crl.CertificateList.load(_der(pem)) for pem in case["crls"]],
        moment=at,
        best_signature_time=at,
        allow_fetching=False,
        revinfo_policy=CertRevTrustPolicy(revocation_checking_policy=policy),
        time_tolerance=timedelta(0),
        algorithm_usage_policy=AcceptAllAlgorithms(),
    )
    parameters = PKIXValidationParams(
        user_initial_policy_set=frozenset(case["policies"]) or _ANY_POLICY,
        initial_explicit_policy=case["explicit_policy"],
        initial_policy_mapping_inhibit=case["inhibit_policy_mapping"],
        initial_any_policy_inhibit=case["inhibit_any_policy"],
    )
    leaf = asn1_x509.Certificate.load(_der(case["certificate"]))
    trouble: Exception = ValueError("no path to a trust anchor")
    async for path in context.path_builder.async_build_paths_lazy(leaf):
        try:
            await async_validate_path(context, path, parameters=parameters)
        except Exception as error:  # noqa: BLE001 - whatever it raises, it does not accept this path
            trouble = error
        else:
            return
    raise trouble


def main() -> None:
    """Answer every line of standard input."""
    logging.disable()  # it writes whole stack traces about lists that it cannot use
    for line in sys.stdin:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                asyncio.run(_validate(json.loads(line)))
            answer = {"valid": True, "detail": ""}
        except Exception as error:  # noqa: BLE001 - an oracle that fails does not accept
            answer = {"valid": False, "detail": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)  # noqa: T201 - this is its answer


if __name__ == "__main__":
    main()
