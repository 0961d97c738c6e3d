"""People who talk while others' sessions start: a message a second each, timed.

They are a process of their own, so that no other work is counted as waiting.
"""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import aiohttp
import uvloop

from benchmarks.service import JWT_SECRET
from rdchat.common.clock import SystemClock
from rdchat.domain.person import Caller, Role
from rdchat.security.caller_tokens import CallerTokens

if TYPE_CHECKING:
    from asyncio.subprocess import Process

_ROOT = Path(__file__).parents[2]
_CREATED = 201


class Talkers:
    """Each of `talking` is a (session, client).

    `posts` are the instants (ms since 1970) of all messages, and the seconds that each took.
    """

    def __init__(self, base: str, talking: list[tuple[UUID, UUID]]) -> None:
        self._script = {"base": base, "talking": [[str(one), str(other)] for one, other in talking]}
        self._process: Process | None = None
        self.posts: list[tuple[float, float]] = []

    async def start(self) -> None:
        """Start sending."""
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "benchmarks.opening.people"), cwd=_ROOT, stdin=PIPE, stdout=PIPE
        )
        if self._process.stdin is not None:
            self._process.stdin.write(json.dumps(self._script).encode() + b"\n")

    async def stop(self) -> None:
        """Stop, and collect how long each message took."""
        if self._process is None:
            return
        # With nothing to say, it would leave the other side's input open.
        said, _ = await self._process.communicate(b"")
        if self._process.returncode != 0:
            raise RuntimeError("a message was refused")
        self.posts = json.loads(said)

    def during(self, begin_ms: float, end_ms: float) -> list[float]:
        """Return the seconds that messages sent within a time took, sorted."""
        return sorted(took for at, took in self.posts if begin_ms <= at <= end_ms)


async def _talk_until_silenced() -> list[tuple[float, float]]:
    loop = asyncio.get_running_loop()
    script = json.loads(await loop.run_in_executor(None, sys.stdin.readline))
    posts: list[tuple[float, float]] = []
    async with aiohttp.ClientSession(base_url=script["base"]) as http:
        tasks = [
            asyncio.create_task(
                _message_entry(
                    http, number / len(script["talking"]), UUID(session_id), UUID(client_id), posts
                )
            )
            for number, (session_id, client_id) in enumerate(script["talking"])
        ]
        silenced = loop.run_in_executor(None, sys.stdin.read)
        # A refusal ends the talk, and the benchmark.
        await asyncio.wait([*tasks, silenced], return_when=asyncio.FIRST_COMPLETED)
        failed = [task for task in tasks if task.done()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for task in failed:
            task.result()
    return posts


async def _message_entry(
    http: aiohttp.ClientSession,
    delay: float,
    session_id: UUID,
    client_id: UUID,
    posts: list[tuple[float, float]],
) -> None:
    clock = SystemClock()
    tokens = CallerTokens(
        algorithms=("HS256",), issuer="rdchat", audience="rdchat", clock=clock, secret=JWT_SECRET
    )
    token = tokens.issue(Caller(client_id, Role.CLIENT, "Client", None), lifetime=timedelta(hours=1))
    headers = {"Authorization": f"Bearer {token}"}
    body = {"sessionId": str(session_id), "message": "Halo, apa kabar?"}
    loop = asyncio.get_running_loop()
    at = loop.time() + delay
    while True:
        # By a timetable, so that a slow answer does not make the next message rarer.
        await asyncio.sleep(max(0.0, at - loop.time()))
        sent_ms = clock.ms()
        async with http.post("/api/v1/chat/messages", json=body, headers=headers) as answer:
            text = await answer.text()
            if answer.status != _CREATED:
                raise RuntimeError(f"{answer.status}: {text}")
        posts.append((sent_ms, loop.time() - at))
        at += 1.0


if __name__ == "__main__":
    sys.stdout.write(json.dumps(uvloop.run(_talk_until_silenced())))
