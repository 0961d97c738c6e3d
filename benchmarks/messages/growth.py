"""What it costs when there is more of everything: live sessions, and messages in one history."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any

import aiohttp

from benchmarks.messages.contenders import Ours
from benchmarks.messages.generator import Generator
from benchmarks.messages.stage import open_crowd, speakers_of
from benchmarks.rates import refuse_failures

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.messages.generator import Speaker
    from benchmarks.messages.stage import Stage

LIVE = (10, 1_000, 10_000, 100_000, 200_000)
SAID = (10, 10_000, 1_000_000)
_ROUNDS = 3
_SECONDS = 4.0
#: One rate for all sizes, messages a second: at another one batches would have another size.
_RATE = 600.0
#: No more than there are sessions, so that no one waits for another's message.
_CONNECTIONS = 8
#: Connections on which sessions become live.
_FILLING = 64
_PAGES = 300
_SENT = 300


@dataclass(slots=True)
class Growth:
    """Median processor time of the service per message, by live sessions; median ms by length of history.

    `send_us` and `post_ms` (p99) are at one rate for all; `fill_rate` is how many sessions a second became
    live, `memory_mib` what the service holds then. `send_ms` and the pages, newest and oldest, are one
    request after the other.
    """

    fill_rate: dict[int, float] = field(default_factory=dict)
    memory_mib: dict[int, float] = field(default_factory=dict)
    post_ms: dict[int, float] = field(default_factory=dict)
    send_us: dict[int, float] = field(default_factory=dict)
    send_ms: dict[int, float] = field(default_factory=dict)
    newest_ms: dict[int, float] = field(default_factory=dict)
    oldest_ms: dict[int, float] = field(default_factory=dict)

    def figures(self) -> dict[str, Any]:
        """Return the figures as JSON."""
        return {
            "liveSessions": {
                str(count): {
                    "filledPerSecond": round(self.fill_rate[count]),
                    "memoryMib": round(self.memory_mib[count]),
                    "cpuMicroseconds": round(self.send_us[count]),
                    "postP99Ms": round(self.post_ms[count], 1),
                }
                for count in self.send_us
            },
            "messagesInHistory": {
                str(count): {
                    "sendMs": round(self.send_ms[count], 2),
                    "newestPageMs": round(self.newest_ms[count], 2),
                    "oldestPageMs": round(self.oldest_ms[count], 2),
                }
                for count in self.send_ms
            },
        }


async def measure(stage: Stage, say: Callable[[str], None]) -> Growth:
    """Measure the costs while everything grows."""
    growth = Growth()
    say(f"Seeding {LIVE[-1]:,} sessions ...")
    await open_crowd(stage.connection, LIVE[-1] - len(stage.speakers) // 2)
    speakers = await speakers_of(stage.connection)
    ours = Ours(stage)
    await ours.start()
    try:
        await _live_sessions(ours, growth, speakers, say)
        await _histories(stage, ours, growth, speakers, say)
    finally:
        await ours.stop()
    return growth


async def _live_sessions(
    ours: Ours, growth: Growth, speakers: list[Speaker], say: Callable[[str], None]
) -> None:
    for count in LIVE:
        chosen = {one.session_id: one for one in speakers}
        generator = Generator(ours.base, list(chosen.values())[:count])
        await generator.start()
        try:
            # Everyone says something once, so that all sessions are in memory.
            said, took = 0, 0.0
            while said < count:
                load = await generator.closed(_FILLING, 2.0)
                said, took = said + load.number, took + load.seconds
            growth.fill_rate[count] = said / took
            costs, waits = [], []
            for _ in range(_ROUNDS):
                before = ours.cpu_seconds()
                load = await generator.open(_RATE, _CONNECTIONS, _SECONDS)
                refuse_failures(ours.name, load)
                costs.append(1e6 * (ours.cpu_seconds() - before) / load.accepted)
                waits.append(load.latency(0.99))
        finally:
            await generator.stop()
        growth.send_us[count], growth.post_ms[count] = median(costs), median(waits)
        growth.memory_mib[count] = ours.memory_mib()
        say(
            f"{count:>9,} live sessions: {growth.send_us[count]:.0f} µs a message, POST p99 "
            f"{growth.post_ms[count]:.1f} ms, {growth.memory_mib[count]:,.0f} MiB; "
            f"filled at {growth.fill_rate[count]:,.0f}/s"
        )


async def _histories(
    stage: Stage, ours: Ours, growth: Growth, speakers: list[Speaker], say: Callable[[str], None]
) -> None:
    tokens = {one.session_id: one.token for one in speakers}
    chosen = list(tokens)[: len(SAID)]
    for session_id, count in zip(chosen, SAID, strict=True):
        await _fill(stage, session_id, count)
    await stage.connection.execute("VACUUM ANALYZE messages", timeout=600)
    async with aiohttp.ClientSession(base_url=ours.base) as http:
        # Alternately, so that disturbances of the machine affect all of them.
        times: dict[str, dict[int, list[float]]] = {
            what: {count: [] for count in SAID} for what in ("send", "newest", "oldest")
        }
        for number in range(_SENT):
            for session_id, count in zip(chosen, SAID, strict=True):
                headers = {"Authorization": f"Bearer {tokens[session_id]}"}
                body = {"sessionId": session_id, "message": "Halo", "clientMessageId": f"g{number}"}
                times["send"][count].append(
                    await _time(http.post("/api/v1/chat/messages", json=body, headers=headers))
                )
        for _ in range(_PAGES):
            for session_id, count in zip(chosen, SAID, strict=True):
                headers = {"Authorization": f"Bearer {tokens[session_id]}"}
                newest = {"sessionId": session_id, "limit": "10"}
                oldest = newest | {"after": "0"}
                for what, query in (("newest", newest), ("oldest", oldest)):
                    times[what][count].append(
                        await _time(http.get("/api/v1/chat/history", params=query, headers=headers))
                    )
    for count in SAID:
        growth.send_ms[count] = median(times["send"][count])
        growth.newest_ms[count] = median(times["newest"][count])
        growth.oldest_ms[count] = median(times["oldest"][count])
        say(
            f"{count:>9,} messages in the history: send {growth.send_ms[count]:.2f} ms, "
            f"newest page {growth.newest_ms[count]:.2f} ms, oldest {growth.oldest_ms[count]:.2f} ms"
        )


async def _time(request: Any) -> float:  # noqa: ANN401 - aiohttp's context managers
    began = time.perf_counter()
    async with request as answer:
        await answer.read()
        if not answer.ok:
            raise RuntimeError(await answer.text())
    return 1000 * (time.perf_counter() - began)


_FILL = """
INSERT INTO messages (session_id, seq, id, sender_id, message_type, body, created_at, mac)
SELECT s.id, s.last_seq + n, gen_random_uuid(), s.client_id, 'text', $3, now(), $4
  FROM chat_sessions s, generate_series(1, $2::bigint - s.last_seq) AS n WHERE s.id = $1
"""
_COUNT = """
UPDATE chat_sessions SET version = version + 1, state_version = version + 1, last_seq = greatest(last_seq, $2)
 WHERE id = $1
"""


async def _fill(stage: Stage, session_id: str, count: int) -> None:
    """Give a session a history of `count` messages that are as large as others; no one reads them."""
    session = await stage.connection.fetchval(
        "SELECT id FROM chat_sessions WHERE id = $1::text::uuid", session_id
    )
    body = os.urandom(len("Apa kabar? " * 8) + 29)
    async with stage.connection.transaction():
        await stage.connection.execute("SET LOCAL session_replication_role = replica")
        await stage.connection.execute(_FILL, session, count, body, os.urandom(16), timeout=600)
        await stage.connection.execute(_COUNT, session, count)
