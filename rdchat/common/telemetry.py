"""Metrics for Prometheus, and logs. Messages are never logged."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Final

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

if TYPE_CHECKING:
    from collections.abc import Callable

_LATENESS_SECONDS: Final = (0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30, 60, 300)
_REQUEST_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


class Metrics:
    """The metrics of one service; each instance has a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Histogram(
            "rdchat_http_request_seconds",
            "Time from the first byte of a request to its answer.",
            ("route", "method", "status"),
            registry=self.registry,
            buckets=_REQUEST_SECONDS,
        )
        self.turned_away = Counter(
            "rdchat_http_turned_away", "Requests refused because too many waited.", registry=self.registry
        )
        self.refused = Counter(
            "rdchat_http_refused",
            "Connections closed, and requests refused by address, to leave room.",
            ("why",),
            registry=self.registry,
        )
        self._refusals = Counter(
            "rdchat_http_refusals",
            "Requests of callers who are not known (401), or may not (403).",
            ("code", "reason"),
            registry=self.registry,
        )
        self._lateness = Histogram(
            "rdchat_automation_lateness_seconds",
            "How long after its due instant an automation was decided.",
            ("kind",),
            registry=self.registry,
            buckets=_LATENESS_SECONDS,
        )
        self._automations = Counter(
            "rdchat_automations", "Automations settled.", ("kind", "status"), registry=self.registry
        )
        self._dead_letters = Counter(
            "rdchat_dead_letters", "Automations given up.", ("kind",), registry=self.registry
        )
        self.published = Counter(
            "rdchat_events_published", "Realtime events accepted by Ably.", registry=self.registry
        )
        self.publish_failures = Counter(
            "rdchat_publish_failures", "Publish requests that have to be repeated.", registry=self.registry
        )
        self._overflow = Counter(
            "rdchat_outbox_overflow", "Events left to the outbox for want of memory.", registry=self.registry
        )
        self.fenced = Counter(
            "rdchat_fenced_sessions",
            "Session changes that lost to the version fence and were decided again.",
            registry=self.registry,
        )
        self.settled_before = Counter(
            "rdchat_automations_fired_again",
            "Automations that were fired after they had been settled, to no effect.",
            ("kind",),
            registry=self.registry,
        )
        self._webhooks = Counter(
            "rdchat_webhook_attempts", "Attempts at webhooks.", ("outcome",), registry=self.registry
        )
        self._integrity_failures = Counter(
            "rdchat_integrity_failures",
            "Values in a store that are not as they were written: changed, moved, forged or deleted.",
            ("what",),
            registry=self.registry,
        )
        self.commits = Counter("rdchat_commits", "Group commits.", registry=self.registry)
        self.committed_sessions = Counter(
            "rdchat_committed_sessions", "Session changes in group commits.", registry=self.registry
        )

    def refusal(self, code: str, reason: str) -> None:
        """Count a request that was answered 401 or 403; `reason` is one of a few words."""
        self._refusals.labels(code, reason).inc()

    def automation(self, kind: str, status: str, lateness_ms: int | None) -> None:
        """Count an automation that was settled; one that never ran has no lateness."""
        self._automations.labels(kind, status).inc()
        if lateness_ms is not None:
            self._lateness.labels(kind).observe(lateness_ms / 1000)

    def dead_letter(self, kind: str) -> None:
        """Count an automation that was given up."""
        self._dead_letters.labels(kind).inc()

    def webhook(self, outcome: str) -> None:
        """Count an attempt at a webhook: `delivered`, `failed` (to be repeated) or `dead` (given up)."""
        self._webhooks.labels(outcome).inc()

    def integrity_failure(self, what: str) -> None:
        """Count a value that is not as it was written, by what it is, for instance `message`."""
        self._integrity_failures.labels(what).inc()

    def outbox_overflow(self, events: int) -> None:
        """Count events that this process does not hold in memory."""
        self._overflow.inc(events)

    def gauge(self, name: str, text: str, value: Callable[[], float]) -> None:
        """Expose a value that is read at each scrape."""
        Gauge(name, text, registry=self.registry).set_function(value)

    def page(self) -> bytes:
        """Render the metrics in Prometheus' text format."""
        return generate_latest(self.registry)


def configure_logging(style: str) -> None:
    """Log to standard error: `text` for people, `json` for collectors."""
    renderer = (
        structlog.processors.JSONRenderer()
        if style == "json"
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            # The prettier tracebacks show local variables, which hold messages.
            exception_formatter=structlog.dev.plain_traceback,
        )
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.StackInfoRenderer(),
            *([structlog.processors.format_exc_info] if style == "json" else []),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    # Libraries' own logs: only what an operator should act on.
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s %(message)s")
    logging.getLogger("ably").setLevel(logging.ERROR)
