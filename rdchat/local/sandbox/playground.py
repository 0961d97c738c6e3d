"""The sandbox as a whole: start a service, book a session on it, print what to paste, wait to be stopped."""

from __future__ import annotations

import asyncio
import signal
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import aiohttp

from rdchat.common.clock import SystemClock, iso
from rdchat.local.demo import service
from rdchat.local.demo.person import Person, UnexpectedAnswerError
from rdchat.local.people import ADMIN, BUDI, SARI
from rdchat.local.sandbox.script import Scene, script
from rdchat.security.caller_tokens import CallerTokens

if TYPE_CHECKING:
    from collections.abc import Callable

#: The first message comes so long before the start, and the warning so long before the end.
INITIAL_LEAD: Final = timedelta(seconds=20)
WARNING_LEAD: Final = timedelta(minutes=1)
_TOKEN_LIFETIME: Final = timedelta(days=1)
_REQUEST_SECONDS: Final = 10.0
_STOPPED, _FAILED, _NOT_STARTED = 0, 1, 2
_ENDINGS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: People who try things book one session after another, also while one is open.
_LIMITS: Final = {"RDCHAT_MAX_ACTIVE_PER_CLIENT": "20", "RDCHAT_MAX_ACTIVE_PER_PSYCHOLOGIST": "20"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """What was asked for: when the session starts, how long it lasts, and ports (0: any free one)."""

    starts_in: timedelta
    lasts: timedelta
    port: int = 0
    ably_port: int = 0

    @property
    def initial_lead(self) -> timedelta:
        """From the first automated message to the start."""
        return INITIAL_LEAD

    @property
    def warning_lead(self) -> timedelta:
        """From the end warning to the end."""
        return WARNING_LEAD


async def play(sandbox: Sandbox, say: Callable[[str], None]) -> int:
    """Run the sandbox until Ctrl-C. Return the exit status: 0, or 1 or 2 where it ended on its own."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in _ENDINGS:
        loop.add_signal_handler(number, stop.set)
    running = asyncio.create_task(_run(sandbox, say))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((running, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopped = not running.done()
        running.cancel()
        await asyncio.wait((running,))
        if stopped:
            say("Stopped; nothing is left of it.")
            return _STOPPED
        return running.result()
    finally:
        stopping.cancel()
        for number in _ENDINGS:
            loop.remove_signal_handler(number)


async def _run(sandbox: Sandbox, say: Callable[[str], None]) -> int:
    ports = {"RDCHAT_PORT": str(sandbox.port), "RDCHAT_ABLY_LOCAL_PORT": str(sandbox.ably_port)}
    say("Starting a service with a database of its own ...")
    try:
        async with service.starting(sandbox, _LIMITS | ports) as running:
            await running.ready()
            say(await _prepare(sandbox, running))
            await running.ended()
            say("The service has ended. The last that it said:")
            say("\n".join(f"  {line}" for line in running.tail))
    except service.ServiceError as error:
        say(f"The service could not be started. {error}")
        say("\n".join(f"  {line}" for line in error.tail))
        return _NOT_STARTED
    except (UnexpectedAnswerError, aiohttp.ClientError, TimeoutError) as error:
        say(f"The session could not be booked: {error or type(error).__name__}.")
    return _FAILED


async def _prepare(sandbox: Sandbox, running: service.Service) -> str:
    """Book the session. Return what there is, as lines to paste into a shell."""
    clock = SystemClock()
    tokens = CallerTokens(
        algorithms=("HS256",), issuer="rdchat", audience="rdchat", clock=clock, secret=running.jwt_secret
    )
    issued = {caller.id: tokens.issue(caller, lifetime=_TOKEN_LIFETIME) for caller in (BUDI, SARI, ADMIN)}
    timeout = aiohttp.ClientTimeout(total=_REQUEST_SECONDS)
    async with aiohttp.ClientSession(running.address, timeout=timeout) as http:
        budi, admin = (Person(http, one, issued[one.id]) for one in (BUDI, ADMIN))
        await admin.must("PUT", f"/psychologists/{SARI.id}", {"fullName": SARI.full_name})
        starts_at = clock.now().replace(microsecond=0) + sandbox.starts_in + timedelta(seconds=1)
        ends_at = starts_at + sandbox.lasts
        booked = await budi.must(
            "POST",
            "/counselings/book",
            {
                "method": "chat",
                "startsAt": iso(starts_at),
                "endsAt": iso(ends_at),
                "psychologistId": str(SARI.id),
            },
        )
        session_id: str = booked["chatSession"]["sessionId"]
        access = await budi.must("GET", "/chat/ably-token", sessionId=session_id)
    realtime = access["clientOptions"]
    scene = Scene(
        address=running.address,
        realtime=f"{realtime['endpoint']}:{realtime['port']}",
        tokens={"BUDI": issued[BUDI.id], "SARI": issued[SARI.id], "ADMIN": issued[ADMIN.id]},
        session_id=session_id,
        counseling_id=booked["id"],
        starts_at=starts_at,
        ends_at=ends_at,
        first_message_at=starts_at - INITIAL_LEAD,
        warned_at=ends_at - WARNING_LEAD,
        lasts=sandbox.lasts,
    )
    return script(scene)
