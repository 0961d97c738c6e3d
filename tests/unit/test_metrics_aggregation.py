"""Metrics of several processes on one page."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from handlers.server.metrics_aggregation import merged
from rdchat.common.telemetry import Metrics


def samples(page: bytes) -> dict[str, float]:
    return {
        f"{sample.name}{sorted(sample.labels.items())}": sample.value
        for family in text_string_to_metric_families(page.decode())
        for sample in family.samples
    }


def process(requests: int, live: float, waiting: float) -> str:
    metrics = Metrics()
    for _ in range(requests):
        metrics.requests.labels("/x", "POST", "201").observe(0.003)
    metrics.commits.inc(requests)
    metrics.gauge("rdchat_live_actors", "Sessions in memory.", lambda: live)
    metrics.gauge("rdchat_queue_waiting", "Jobs that wait.", lambda: waiting)
    return metrics.page().decode()


def test_counters_histograms_and_gauges_are_added() -> None:
    found = samples(merged([process(2, 5, 70), process(3, 1, 71)]))
    labels = [("method", "POST"), ("route", "/x"), ("status", "201")]
    assert found["rdchat_commits_total[]"] == 5
    assert found["rdchat_live_actors[]"] == 6
    assert found[f"rdchat_http_request_seconds_count{labels}"] == 5
    assert found[f"rdchat_http_request_seconds_bucket{sorted([*labels, ('le', '0.005')])}"] == 5
    assert found[f"rdchat_http_request_seconds_bucket{sorted([*labels, ('le', '0.001')])}"] == 0


def test_of_what_all_read_from_the_same_place_the_highest_is_shown() -> None:
    assert samples(merged([process(1, 1, 70), process(1, 1, 71)]))["rdchat_queue_waiting[]"] == 71


def test_one_page_stays_as_it_is() -> None:
    page = process(4, 2, 9)
    assert samples(merged([page])) == samples(page.encode())
