"""Numbers of the server, as Prometheus reads them."""

from collections.abc import Callable, Iterator

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily

__all__ = ["CONTENT_TYPE_LATEST", "GaugeMetricFamily", "Metrics"]

METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
"""That are told apart; clients may send any word."""
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """Counts requests; everything else is looked at when it is asked for.

    Args:
        look: gives what is to be seen now.
    """

    def __init__(self, look: Callable[[], Iterator[GaugeMetricFamily]]) -> None:
        self.collect, self.registry = look, CollectorRegistry(auto_describe=True)
        self.requests = Counter(
            "sora_requests", "Requests answered.", ("method", "route", "status"), registry=self.registry
        )
        self.seconds = Histogram(
            "sora_request_seconds", "Time until an answer was sent.", ("route",), buckets=SECONDS,
            registry=self.registry,
        )  # fmt: skip
        self.open = Gauge("sora_requests_open", "Requests being answered.", registry=self.registry)
        self.registry.register(self)

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answer.

        Args:
            method: of the request.
            route: its route with names of parameters, so that there are few; empty: none.
            status: of the answer.
            seconds: that it took.
        """
        method = method if method in METHODS else "other"
        self.requests.labels(method, route, str(status)).inc()
        self.seconds.labels(route).observe(seconds)

    def text(self) -> bytes:
        """All numbers in Prometheus's text format."""
        return generate_latest(self.registry)
