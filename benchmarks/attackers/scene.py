"""The service, its people and its attackers, and what one attack does to those people."""

from __future__ import annotations

import asyncio
import io
import json
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import psutil

from benchmarks.attackers.attacks import Target
from benchmarks.messages.generator import Generator, Load
from benchmarks.messages.stage import stage
from benchmarks.openings import lateness, plant_openings
from benchmarks.quantiles import quantile
from benchmarks.service import Service
from benchmarks.side_process import SideProcess
from rdchat.common.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from benchmarks.messages.generator import Speaker
    from benchmarks.messages.stage import Stage, Stores

_SESSIONS: Final = 200
#: What people send, a second, and on how many connections, which are opened while the attack is under way.
RATE: Final = 80.0
_CONNECTIONS: Final = 64
#: Sessions that start in a second, from this long after the service serves.
OPENINGS: Final = 4
_FIRST_OPENING: Final = timedelta(seconds=12)
#: What is not answered within this after the last was sent counts as never answered.
_PATIENCE_SECONDS: Final = 30.0
_LOOK_SECONDS: Final = 0.5
_FILE_BYTES: Final = 10 * 1024 * 1024


@dataclass(slots=True)
class Phase:
    """What people noticed of an attack, or of none.

    `lateness` are the ms after its start at which each session that began meanwhile was said to be open;
    `unopened` is how many were not. `memory` is the most that the service held, in MiB, and `children` the
    most that the programs which it started had for themselves.
    """

    name: str
    attackers: int
    in_place: int = 0
    load: Load | None = None
    lateness: list[int] = field(default_factory=list)
    unopened: int = 0
    memory: float = 0.0
    children: float = 0.0
    told: dict[str, dict[str, int]] = field(default_factory=dict)

    @property
    def refused(self) -> dict[str, int]:
        """What people were answered that was no success, by status."""
        if self.load is None:
            return {"unanswered": 1}
        return {status: count for status, count in self.load.answers.items() if status != "201"}

    def latency(self, share: float) -> float:
        """Return a quantile of what people's messages took, in ms."""
        return self.load.latency(share) if self.load is not None else float("nan")

    def figures(self) -> dict[str, Any]:
        """Return the figures as JSON."""
        return {
            "attack": self.name,
            "attackers": self.attackers,
            "inPlace": self.in_place,
            "posts": self.load.number if self.load is not None else 0,
            "postMs": {name: round(self.latency(share), 1) for name, share in (("p50", 0.5), ("p99", 0.99))},
            "refused": self.refused,
            "openings": len(self.lateness) + self.unopened,
            "unopened": self.unopened,
            "latenessMs": {
                name: quantile(self.lateness, share) if self.lateness else None
                for name, share in (("p50", 0.5), ("max", 1.0))
            },
            "memoryMib": round(self.memory),
            "childrenMib": round(self.children),
            "attackersTold": self.told,
        }


@dataclass(slots=True)
class Scene:
    """A running service with people in it, attackers at hand, and sessions that will start."""

    service: Service
    stage: Stage
    people: Generator
    attackers: SideProcess
    starts: Mapping[str, int]
    attacker: Speaker
    file_id: str

    async def phase(self, name: str, attacks: Mapping[str, int], seconds: float) -> Phase:
        """Have people chat for so many seconds while attacks, so many attackers each, are under way."""
        phase = Phase(name, sum(attacks.values()))
        link = await self._link()
        watching = asyncio.create_task(self._watch_memory(phase))
        try:
            for attack, count in attacks.items():
                told = await self.attackers.ask({"attack": attack, "count": count, "link": link})
                phase.in_place += told["inPlace"]
            begin = SystemClock().ms()
            try:
                async with asyncio.timeout(seconds + _PATIENCE_SECONDS):
                    phase.load = await self.people.open(RATE, _CONNECTIONS, seconds)
            except TimeoutError:
                await self.people.kill()
                self.people = Generator(self.service.base, self.stage.speakers)
                await self.people.start()
            end = SystemClock().ms()
        finally:
            phase.told = await self.attackers.ask({"attack": None})
            watching.cancel()
        await asyncio.sleep(_LOOK_SECONDS)
        # One that starts at the very end has the rest of the time that those before it had.
        phase.lateness, phase.unopened = lateness(
            self.stage.ably.published, self.starts, begin, end - 1000 * _LOOK_SECONDS
        )
        return phase

    async def _watch_memory(self, phase: Phase) -> None:
        while True:
            phase.memory = max(phase.memory, self.service.memory_mib())
            phase.children = max(phase.children, children_mib(self.service.pid))
            await asyncio.sleep(_LOOK_SECONDS)

    async def _link(self) -> str:
        """Get a link to the large file: they live for minutes only."""
        async with aiohttp.ClientSession(self.service.base) as http:
            headers = {"Authorization": f"Bearer {self.attacker.token}"}
            async with http.get(f"/api/v1/chat/attachments/{self.file_id}", headers=headers) as found:
                url: str = (await found.json())["data"]["url"]
        return url.removeprefix(self.service.base)


def children_mib(pid: int) -> float:
    """Return what the children of a process have for themselves, in MiB."""
    total = 0
    for child in psutil.Process(pid).children(recursive=True):
        try:
            total += child.memory_full_info().uss
        except psutil.Error:
            continue
    return float(total / 2**20)


@asynccontextmanager
async def scene(running: Stores, *, lasts: timedelta) -> AsyncIterator[Scene]:
    """Start a service with people in it, for a benchmark that lasts so long."""
    async with stage(running, sessions=_SESSIONS, recorded=1_000_000) as on:
        starts = await plant_openings(on.connection, first=_FIRST_OPENING, lasts=lasts, a_second=OPENINGS)
        service = Service(
            running.directory,
            running.database_url,
            running.redis_url,
            on.ably.address,
            timedelta(seconds=2),
            rate_limits="",
        )
        await service.start()
        attacker = on.speakers[0]
        people = Generator(service.base, on.speakers[1:])
        host, _, port = service.base.removeprefix("http://").partition(":")
        file_id = await _send_file(service.base, attacker)
        target = Target(
            host,
            int(port),
            attacker.token,
            attacker.session_id,
            "",
            [f"/api/v1/chat/sessions/{attacker.session_id}/diagram?format=png"],
        )
        attackers = SideProcess("benchmarks.attackers.attacks", asdict(target))
        await people.start()
        await attackers.start()
        made = Scene(service, on, people, attackers, starts, attacker, file_id)
        try:
            yield made
        finally:
            await made.people.stop()
            await attackers.stop()
            await service.stop()


async def _send_file(base: str, sender: Speaker) -> str:
    """Send the file that slow readers ask for. Return its id."""
    form = aiohttp.FormData({"sessionId": sender.session_id})
    lines = b"".join(b"%015d\n" % number for number in range(_FILE_BYTES // 16))
    form.add_field("file", io.BytesIO(lines), filename="besar.txt")
    headers = {"Authorization": f"Bearer {sender.token}"}
    async with (
        aiohttp.ClientSession(base) as http,
        http.post("/api/v1/chat/messages/upload", data=form, headers=headers) as reply,
    ):
        said = await reply.json()
        if not said["success"]:
            raise RuntimeError(json.dumps(said))
        file_id: str = said["data"]["attachment"]["id"]
        return file_id
