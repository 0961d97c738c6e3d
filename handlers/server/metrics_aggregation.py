"""Metrics of several processes that share a port, as one page.

A request for /metrics reaches one of the processes by chance, so each must answer for all. Each shows its
own page on a socket in a folder that they share; the others add it to theirs.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import TYPE_CHECKING, Final

import aiohttp
from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from rdchat.common.telemetry import Metrics

_ANSWER_SECONDS: Final = 1.0
#: What every process reads from the same place; of these the highest is shown, and not their sum.
_SHARED: Final = frozenset(
    {
        "rdchat_queue_waiting",
        "rdchat_queue_leased",
        "rdchat_automations_overdue",
        "rdchat_webhooks_waiting",
        "rdchat_webhooks_dead",
    }
)


class MetricsAggregator:
    """The processes of one service, as one of them sees them."""

    def __init__(self, metrics: Metrics, folder: Path, number: int) -> None:
        self._metrics = metrics
        self._folder = folder
        self._own = folder / f"{number}.sock"
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Show one's own metrics to the others."""

        async def own_page(_request: web.Request) -> web.Response:
            return web.Response(body=self._metrics.page())

        app = web.Application()
        app.router.add_get("/metrics", own_page)
        self._runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0)
        await self._runner.setup()
        # One that was killed leaves its socket behind.
        self._own.unlink(missing_ok=True)
        await web.UnixSite(self._runner, str(self._own)).start()

    async def close(self) -> None:
        """Stop showing them."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def page(self) -> bytes:
        """Make the page of all; a process that does not answer is left out."""
        others = [socket for socket in self._folder.glob("*.sock") if socket != self._own]
        pages = await asyncio.gather(*map(_ask, others))
        return merged([self._metrics.page().decode(), *(page for page in pages if page is not None)])


async def _ask(socket: Path) -> str | None:
    timeout = aiohttp.ClientTimeout(total=_ANSWER_SECONDS)
    connector = aiohttp.UnixConnector(path=str(socket))
    try:
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout) as http,
            http.get("http://process/metrics") as answer,
        ):
            return await answer.text()
    except (aiohttp.ClientError, TimeoutError, OSError):
        return None


class _Sums:
    """The sums of several pages, as prometheus_client collects them."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families: dict[str, Metric] = {}
        self._values: dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], float]] = defaultdict(dict)
        for family in families:
            self._families.setdefault(family.name, family)
            values = self._values[family.name]
            for sample in family.samples:
                key = sample.name, tuple(sample.labels.items())
                known = values.get(key)
                if known is None:
                    values[key] = sample.value
                elif family.name in _SHARED or sample.name.endswith("_created"):
                    values[key] = max(known, sample.value)
                else:
                    values[key] = known + sample.value

    def collect(self) -> Iterator[Metric]:
        for name, family in self._families.items():
            sums = Metric(name, family.documentation, family.type)
            for (sample, labels), value in self._values[name].items():
                sums.add_sample(sample, dict(labels), value)
            yield sums


def merged(pages: Iterable[str]) -> bytes:
    """Add pages in Prometheus' text format up to one."""
    registry = CollectorRegistry()
    registry.register(_Sums(family for page in pages for family in text_string_to_metric_families(page)))
    return generate_latest(registry)
