"""Who accepts the messages: the floor, the peer, and rdchat."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from asyncio.subprocess import PIPE
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import psutil

from benchmarks.peers import BENCH, ROOT, install
from benchmarks.service import ABLY_KEY, JWT_SECRET, Service, family_seconds

if TYPE_CHECKING:
    from asyncio.subprocess import Process

    from benchmarks.messages.stage import Stage

_ADDRESS = re.compile(r"on (http://\S+)")
_STARTS_WITHIN = 60.0


class Contender(Protocol):
    """A server that takes `POST /api/v1/chat/messages`."""

    name: str
    base: str

    async def start(self) -> None:
        """Start; `base` is its address then."""
        ...

    async def stop(self) -> None:
        """End it."""
        ...

    def cpu_seconds(self) -> float:
        """Return the processor time that its own processes have used."""
        ...


class Ours:
    """rdchat with everything on, as one process or several."""

    def __init__(
        self,
        stage: Stage,
        *,
        processes: int = 1,
        database_url: str | None = None,
        redis_url: str | None = None,
        limits: bool = False,
        rate_limits: str = "off",
        cipher: bool = False,
    ) -> None:
        self.name = "rdchat" if processes == 1 else f"rdchat, {processes} processes"
        if cipher:
            self.name += ", encrypted"
        self._service = Service(
            stage.stores.directory,
            database_url or stage.stores.service_url,
            redis_url or stage.stores.redis_url,
            stage.ably.address,
            timedelta(minutes=10),
            processes=processes,
            limits=limits,
            rate_limits=rate_limits,
            cipher=cipher,
        )

    @property
    def base(self) -> str:
        """Where it serves."""
        return self._service.base

    async def start(self) -> None:
        """Start."""
        await self._service.start()

    async def stop(self) -> None:
        """Stop."""
        await self._service.stop()

    def memory_mib(self) -> float:
        """Return what it holds, resident, in MiB."""
        return self._service.memory_mib()

    def cpu_seconds(self) -> float:
        """Return the processor time of all its processes."""
        return family_seconds(psutil.Process(self._service.pid))


class _Program:
    """A server in a process of its own that prints its address."""

    def __init__(self, name: str, command: list[str], *, cwd: Path, environment: dict[str, str]) -> None:
        self.name = name
        self.base = ""
        self._command = command
        self._cwd = cwd
        self._environment = os.environ | environment
        self._process: Process | None = None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *self._command, cwd=self._cwd, env=self._environment, stdout=PIPE
        )
        if self._process.stdout is None:
            raise RuntimeError("no output to read")
        async with asyncio.timeout(_STARTS_WITHIN):
            line = (await self._process.stdout.readline()).decode()
        found = _ADDRESS.search(line)
        if found is None:
            raise RuntimeError(f"{self.name} did not start: {line}")
        self.base = found[1]

    async def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            await self._process.wait()
            self._process = None

    def cpu_seconds(self) -> float:
        return family_seconds(psutil.Process(self._process.pid)) if self._process else 0.0


def floor() -> Contender:
    """Bare aiohttp that answers the same request."""
    return _Program(
        "bare aiohttp", [sys.executable, "-m", "benchmarks.messages.floor"], cwd=ROOT, environment={}
    )


async def peer(stage: Stage) -> Contender:
    """NestJS, with tables of its own in the same PostgreSQL, and the same sessions in them."""
    node = install("nestjs")
    schema = (Path(__file__).parents[1] / "peers" / "nestjs" / "schema.sql").read_text()
    async with stage.connection.transaction():
        await stage.connection.execute(schema)
        for copy in _COPIES:
            await stage.connection.execute(copy)
    await stage.connection.execute("VACUUM ANALYZE")
    environment = {
        "NODE_ENV": "production",
        "PORT": "0",
        "DATABASE_URL": stage.stores.database_url,
        "JWT_SECRET": JWT_SECRET,
        "ABLY_ADDRESS": stage.ably.address,
        "ABLY_KEY": ABLY_KEY,
    }
    return _Program("NestJS", [*node, "dist/main.js"], cwd=BENCH / "nestjs", environment=environment)


_COPIES = (
    "INSERT INTO peer.people SELECT id, role, initcap(role) || ' ' || left(id::text, 6) FROM public.people",
    "INSERT INTO peer.psychologists SELECT id, timezone FROM public.psychologists",
    """
INSERT INTO peer.counselings
SELECT id, client_id, psychologist_id, status, starts_at, ends_at FROM public.counselings
""",
    """
INSERT INTO peer.chat_sessions (id, counseling_id, client_id, client_name, psychologist_id, psychologist_name,
                                status, last_seq, starts_at, ends_at, started_at, ended_at, end_reason,
                                outcome, created_at, updated_at)
SELECT s.id, s.counseling_id, s.client_id, client.full_name, s.psychologist_id, psychologist.full_name,
       s.status, s.last_seq, s.starts_at, s.ends_at, s.started_at, s.ended_at, s.end_reason, s.outcome,
       s.created_at, s.updated_at
  FROM public.chat_sessions s
  JOIN peer.people client ON client.id = s.client_id
  JOIN peer.people psychologist ON psychologist.id = s.psychologist_id
""",
    """
INSERT INTO peer.automations
SELECT session_id, kind, due_at, status, executed_at, lateness_ms, reason FROM public.automations
""",
)
