"""What is counted, as Prometheus reads it (text format 0.0.4): names, labels, and what they mean.

What lives here: turning plain numbers into text when somebody asks, and the numbers of several processes into one
figure. What does not: how processes tell each other their numbers (`shared_figures.py`), and counting. Whoever does
something counts it as a plain number where it is done (`Decider.cache_hits`, `AuthEndpoint.counts`,
`CachingDirectory.counts`, `Watches`): an object of a metrics library takes a lock and a look-up on the hot path, a
number takes neither.

Invariants:

* Every metric is a member of `METRICS`, and has exactly the labels that stand there.
* No label names a person, a certificate or an address of one (threat T74): labels are domains, front ends, servers,
  sources of revocation lists with their issuers, and words of this code, so their number is bounded by the
  configuration and by the limits of what is learnt.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeAlias

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from authsvc.operations.ocsp_states import OcspFigures
from authsvc.operations.revocation_states import ListStatus, SourceStatus
from authsvc.operations.watches import DomainWatch
from authsvc.reason import Reason
from directory_assistance.backends.caching import CacheCounts
from directory_assistance.directory import HostState, HostStatus
from directory_assistance.watching import WatchState

__all__ = [
    "CONTENT_TYPE",
    "METRICS",
    "DirectoryFigures",
    "Figures",
    "MetricName",
    "Samples",
    "continue_counters",
    "join_samples",
    "render_metrics",
    "render_samples",
    "samples_of",
    "verdict_of",
]

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
"""What `render_metrics` returns. The library's own constant names whatever its newest version writes."""


Samples: TypeAlias = Mapping[str, Mapping[tuple[str, ...], float]]
"""Every metric by its name: the values by their labels, in the order of `MetricName.labels`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricName:
    """A metric: its name, kind (`counter`, `gauge`), labels in order, and what it is."""

    name: str
    kind: str
    labels: tuple[str, ...]
    meaning: str


_DECISIONS: Final = MetricName(
    name="authsvc_decisions_total",
    kind="counter",
    labels=("verdict", "reason"),
    meaning="Answers, as the audit file has them",
)
_CACHE_HITS: Final = MetricName(
    name="authsvc_decision_cache_hits_total",
    kind="counter",
    labels=(),
    meaning="Decisions that an earlier equal question had made",
)
_UNTRUSTED: Final = MetricName(
    name="authsvc_untrusted_front_end_total",
    kind="counter",
    labels=("front_end",),
    meaning="Callers that a listener did not admit",
)
_WATCH_STATE: Final = MetricName(
    name="authsvc_directory_watch_state",
    kind="gauge",
    labels=("domain", "how", "state"),
    meaning="1 for the state that the watch of a directory is in, 0 for the others",
)
_CHANGES: Final = MetricName(
    name="authsvc_directory_changes_total",
    kind="counter",
    labels=("domain",),
    meaning="Changes that a directory told",
)
_DIRECTORY_HITS: Final = MetricName(
    name="authsvc_directory_cache_hits_total",
    kind="counter",
    labels=("domain",),
    meaning="Questions to a directory that were answered from memory",
)
_DIRECTORY_MISSES: Final = MetricName(
    name="authsvc_directory_cache_misses_total",
    kind="counter",
    labels=("domain",),
    meaning="Questions that were put to a directory",
)
_DIRECTORY_SHARED: Final = MetricName(
    name="authsvc_directory_cache_shared_total",
    kind="counter",
    labels=("domain",),
    meaning="Questions that waited for the same question of another request",
)
_DIRECTORY_PURGED: Final = MetricName(
    name="authsvc_directory_cache_purged_total",
    kind="counter",
    labels=("domain",),
    meaning="Answers of a directory that a change made forgotten",
)
_HOST_STATE: Final = MetricName(
    name="authsvc_directory_host_state",
    kind="gauge",
    labels=("domain", "host", "state"),
    meaning="1 for the state that a server of a directory is in, 0 for the others",
)

_NEXT_UPDATE: Final = MetricName(
    name="authsvc_revocation_next_update_seconds",
    kind="gauge",
    labels=("issuer", "source"),
    meaning="Seconds until the next update of a revocation list, below zero past it",
)
_LIST_STATE: Final = MetricName(
    name="authsvc_revocation_list_state",
    kind="gauge",
    labels=("source", "state"),
    meaning="1 for the state that the list of a source is in, 0 for the others",
)
_FETCHES: Final = MetricName(
    name="authsvc_revocation_fetches_total",
    kind="counter",
    labels=("source", "result"),
    meaning="Attempts to fetch a revocation list",
)
_SUCCESS_AGE: Final = MetricName(
    name="authsvc_revocation_last_success_age_seconds",
    kind="gauge",
    labels=("source",),
    meaning="Seconds since a source last gave a list or said that none is newer",
)
_OCSP_ANSWERS: Final = MetricName(
    name="authsvc_ocsp_answers_total",
    kind="counter",
    labels=("host", "answer"),
    meaning="Questions that were put to an OCSP responder, by what came of them",
)
_OCSP_SECONDS: Final = MetricName(
    name="authsvc_ocsp_seconds_total",
    kind="counter",
    labels=("host",),
    meaning="Seconds for which an OCSP responder was waited for",
)
_OCSP_REMEMBERED: Final = MetricName(
    name="authsvc_ocsp_remembered_total",
    kind="counter",
    labels=(),
    meaning="Questions about a certificate that were answered from memory",
)
_OCSP_SHARED: Final = MetricName(
    name="authsvc_ocsp_shared_total",
    kind="counter",
    labels=(),
    meaning="Questions about a certificate that waited for the same question of another request",
)
_OCSP_SKIPPED: Final = MetricName(
    name="authsvc_ocsp_skipped_total",
    kind="counter",
    labels=(),
    meaning="Questions about a certificate that were not put, because asking had just failed",
)
_OCSP_FAILING: Final = MetricName(
    name="authsvc_ocsp_responder_failing",
    kind="gauge",
    labels=("host",),
    meaning="1 where an OCSP responder did not answer when it was last asked",
)

METRICS: Final = (
    _DECISIONS,
    _CACHE_HITS,
    _UNTRUSTED,
    _WATCH_STATE,
    _CHANGES,
    _DIRECTORY_HITS,
    _DIRECTORY_MISSES,
    _DIRECTORY_SHARED,
    _DIRECTORY_PURGED,
    _HOST_STATE,
    _NEXT_UPDATE,
    _LIST_STATE,
    _FETCHES,
    _SUCCESS_AGE,
    _OCSP_ANSWERS,
    _OCSP_SECONDS,
    _OCSP_REMEMBERED,
    _OCSP_SHARED,
    _OCSP_SKIPPED,
    _OCSP_FAILING,
)
"""Every metric there is, in the order in which they are written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryFigures:
    """One directory: what its memory did, None where it has none, and its servers as far as it tells."""

    domain: str
    cache: CacheCounts | None = None
    hosts: tuple[HostStatus, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Everything that is counted, at one moment (`now`).

    `answers`: by front end and true reason. `fetches`: of revocation lists by this process, by source and result.
    """

    now: datetime
    answers: Mapping[tuple[str, Reason], int]
    cache_hits: int
    watches: tuple[DomainWatch, ...] = ()
    directories: tuple[DirectoryFigures, ...] = ()
    revocation: tuple[SourceStatus, ...] = ()
    fetches: Mapping[tuple[str, ...], int] = field(default_factory=dict)
    ocsp: OcspFigures = field(default_factory=OcspFigures)


def render_metrics(figures: Figures) -> bytes:
    """Write the figures of one process in the text format of Prometheus, version 0.0.4."""
    return render_samples(samples_of(figures))


def render_samples(samples: Samples) -> bytes:
    """Write samples in the text format of Prometheus, version 0.0.4."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(samples))
    return generate_latest(registry)


def verdict_of(reason: Reason) -> str:
    """Return the word for the answers with a reason: `allowed`, `denied`, `undecided`."""
    return {200: "allowed", 503: "undecided"}.get(reason.status, "denied")


def samples_of(figures: Figures) -> Samples:
    """Return the samples of every metric."""
    decisions: dict[tuple[str, ...], int] = {}
    untrusted: dict[tuple[str, ...], int] = {}
    for (front_end, reason), count in figures.answers.items():
        key = (verdict_of(reason), reason.value)
        decisions[key] = decisions.get(key, 0) + count
        if reason is Reason.UNTRUSTED_FRONT_END:
            untrusted[front_end,] = count
    remembering = [(each.domain, each.cache) for each in figures.directories if each.cache is not None]
    found: dict[MetricName, Mapping[tuple[str, ...], float]] = {
        _DECISIONS: decisions,
        _CACHE_HITS: {(): figures.cache_hits},
        _UNTRUSTED: untrusted,
        _WATCH_STATE: _states(
            ((each.domain, each.status.how), each.status.state) for each in figures.watches
        ),
        _CHANGES: {(each.domain,): each.changes for each in figures.watches},
        _DIRECTORY_HITS: {(domain,): counts.hits for domain, counts in remembering},
        _DIRECTORY_MISSES: {(domain,): counts.misses for domain, counts in remembering},
        _DIRECTORY_SHARED: {(domain,): counts.shared for domain, counts in remembering},
        _DIRECTORY_PURGED: {(domain,): counts.purged for domain, counts in remembering},
        _HOST_STATE: _states(
            ((each.domain, host.uri), host.state) for each in figures.directories for host in each.hosts
        ),
        _NEXT_UPDATE: {
            (each.issuer or "", each.source): (each.next_update - figures.now).total_seconds()
            for each in figures.revocation
            if each.next_update is not None
        },
        _LIST_STATE: _states(((each.source,), each.status) for each in figures.revocation),
        _FETCHES: figures.fetches,
        _SUCCESS_AGE: {
            (each.source,): (figures.now - each.succeeded).total_seconds()
            for each in figures.revocation
            if each.succeeded is not None
        },
        _OCSP_ANSWERS: {(host, answer): count for (host, answer), count in figures.ocsp.answers.items()},
        _OCSP_SECONDS: {(host,): seconds for host, seconds in figures.ocsp.seconds.items()},
        _OCSP_REMEMBERED: {(): figures.ocsp.remembered},
        _OCSP_SHARED: {(): figures.ocsp.shared},
        _OCSP_SKIPPED: {(): figures.ocsp.skipped},
        _OCSP_FAILING: {(host,): int(failing) for host, failing in figures.ocsp.failing.items()},
    }
    return {metric.name: found[metric] for metric in METRICS}


def join_samples(counted: Iterable[Samples], living: Iterable[Samples]) -> Samples:
    """Return one figure of several processes: counters added up, of gauges the largest.

    So the gauge of a state is 1 for every state that one of the processes sees.

    Args:
        counted: of every process, ended ones too; nothing but their counters counts.
        living: of the processes whose gauges count.

    """
    joined: dict[str, dict[tuple[str, ...], float]] = {metric.name: {} for metric in METRICS}
    for samples in counted:
        for name, labels, value in _each(samples, "counter"):
            joined[name][labels] = joined[name].get(labels, 0) + value
    for samples in living:
        for name, labels, value in _each(samples, "gauge"):
            joined[name][labels] = max(joined[name].get(labels, value), value)
    return joined


def continue_counters(total: Samples, last: Samples, now: Samples) -> Samples:
    """Return a total that never falls, though a counter may begin anew (a reload, a new process).

    Args:
        total: what was returned for `last`.
        last: the samples before.
        now: the samples now. A counter that is smaller than before has begun anew, and is added as a whole.

    Returns:
        The gauges of `now`; of counters the sum of all that was ever counted.

    """
    continued = {name: dict(values) for name, values in join_samples([total], [now]).items()}
    for name, labels, value in _each(now, "counter"):
        before = last.get(name, {}).get(labels, 0)
        grown = value - before if value >= before else value
        continued[name][labels] = continued[name].get(labels, 0) + grown
    return continued


class _Collector(Collector):
    """Samples as the library's values; made for one request."""

    def __init__(self, samples: Samples) -> None:
        self._samples = samples

    def collect(self) -> Iterator[Metric]:
        for metric in METRICS:
            yield _family(metric, self._samples[metric.name])


def _each(samples: Samples, kind: str) -> Iterator[tuple[str, tuple[str, ...], float]]:
    """Yield every sample of a kind of metric: its name, labels and value."""
    for metric in METRICS:
        if metric.kind == kind:
            for labels, value in samples.get(metric.name, {}).items():
                yield metric.name, labels, value


def _states(
    now: Iterable[tuple[tuple[str, ...], WatchState | HostState | ListStatus]],
) -> dict[tuple[str, ...], int]:
    """Return a sample for every state that something may be in, 1 for the one it is in."""
    return {(*labels, each.value): int(each is state) for labels, state in now for each in type(state)}


def _family(metric: MetricName, samples: Mapping[tuple[str, ...], float]) -> Metric:
    """Return a metric with its samples, sorted by their labels."""
    made = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
    family = made(metric.name, metric.meaning, labels=metric.labels)
    for labels, value in sorted(samples.items()):
        family.add_metric(labels, value)
    return family
