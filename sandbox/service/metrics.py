"""What a service counts of itself, for Prometheus: by route, status, state and rule; never by person or subject.

Gauges are looked up when they are read: each is a function that a service adds, and one that fails is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from sandbox.service import journal

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
#: Seconds; the target of a decision is 20 ms, and its tail is what one wants to see.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

#: A gauge's values by its one label's value; ``""`` for a gauge without label.
Look = Callable[[], Mapping[str, float]]


class Meter:
    """One service's numbers, in a registry of its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "sandbox_requests", "Requests answered.", ("method", "route", "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "sandbox_request_seconds",
            "From a request's head to its answer's head.",
            ("method", "route"),
            registry=self._registry,
            buckets=BUCKETS,
        )
        self._decisions = Histogram(
            "sandbox_decision_seconds",
            "Service time of a decision, queueing left out.",
            registry=self._registry,
            buckets=BUCKETS,
        )
        self._refusals = Counter(
            "sandbox_refusals",
            "Refused requests for a run, by the family of the reason.",
            ("family",),
            registry=self._registry,
        )
        self._gauges = _Gauges()
        self._registry.register(self._gauges)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answer. ``route`` is the route's pattern, never the path that was asked for."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)

    def deciding(self) -> AbstractContextManager[object]:
        """Time what runs inside."""
        return self._decisions.time()

    def refused(self, codes: set[str]) -> None:
        """Count a refusal once for each family of its reasons (``budget.exhausted`` is of ``budget``)."""
        for family in {code.partition(".")[0] for code in codes}:
            self._refusals.labels(family).inc()

    def gauge(self, name: str, text: str, look: Look, label: str = "") -> None:
        """Add a number that is looked up whenever somebody reads."""
        self._gauges.looks.append((name, text, label, look))

    def page(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return generate_latest(self._registry)


class _Gauges(Collector):
    def __init__(self) -> None:
        self.looks: list[tuple[str, str, str, Look]] = []

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        for name, text, label, look in self.looks:
            try:
                values = look()
            except Exception as fault:  # noqa: BLE001 - what cannot be told is left out, and the rest is told
                journal.trouble("metrics.left_out", fault, metric=name)
                continue
            found = GaugeMetricFamily(name, text, labels=[label] if label else None)
            for key, value in values.items():
                found.add_metric([key] if label else [], value)
            yield found
