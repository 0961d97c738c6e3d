"""The whole demo: start a service, play a session on it, end the service, check and show."""

from __future__ import annotations

import asyncio
import signal
from datetime import timedelta
from typing import TYPE_CHECKING, Final, TypeVar

import aiohttp
from rich.text import Text

from rdchat.common.clock import SystemClock
from rdchat.local.demo import keeping, report, service
from rdchat.local.demo.checks import Check, verdict
from rdchat.local.demo.listener import hush
from rdchat.local.demo.person import Person, UnexpectedAnswerError
from rdchat.local.demo.scenes import Play
from rdchat.local.demo.screen import Screen, make_console
from rdchat.local.demo.script import Plan
from rdchat.security.caller_tokens import CallerTokens

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from pathlib import Path
    from typing import Any, Self

    from rich.console import Console

    from rdchat.common.clock import Clock
    from rdchat.domain.person import Caller
    from rdchat.local.demo.evidence import Evidence

_T = TypeVar("_T")

SHORTEST: Final = 12
LONGEST: Final = 600
_HOLDS, _FAILED, _NOT_STARTED = 0, 1, 2
#: What a shell adds to the number of a signal.
_BY_SIGNAL: Final = 128
_ENDINGS: Final = (signal.SIGTERM, signal.SIGHUP)
_REQUEST_SECONDS: Final = 10.0
#: Time to subscribe before the first automation: at least, and at most.
_QUICK, _SLOW = timedelta(seconds=4), timedelta(seconds=12)
_LAST_SIGN_SECONDS: Final = 1.0
_TOKEN_LIFETIME: Final = timedelta(hours=1)


async def play(*, seconds: int, keep: Path | None) -> int:
    """Play a session of so many seconds, and show what each person saw; `keep` names a directory for files.

    Return 0 when everything was as expected, 1 when not, 2 when nothing could be played; when ended by a
    signal, the status that a shell would give.
    """
    console = make_console()
    if not SHORTEST <= seconds <= LONGEST:
        console.print(f"--seconds must be from {SHORTEST} to {LONGEST}.")
        return _NOT_STARTED
    if keep is not None:
        try:
            keeping.prepare(keep)
        except OSError as error:
            console.print(Text(f"--keep: {keep} cannot be used: {error.strerror}."), soft_wrap=True)
            return _NOT_STARTED
    with _Ending() as ending:
        try:
            return await _play(console, Plan(seconds), keep)
        except asyncio.CancelledError:
            if ending.signal is None:
                raise
            return _BY_SIGNAL + ending.signal


async def _play(console: Console, plan: Plan, keep: Path | None) -> int:
    clock = SystemClock()
    tail: list[str] = []
    try:
        with Screen(console, clock) as screen:
            async with service.starting(plan) as running:
                try:
                    seen, svg = await _perform(plan, screen, clock, running)
                finally:
                    tail = list(running.tail)
            screen.note("the service has ended", mark="✓", style="green")
    except service.ServiceError as error:
        console.print(Text(f"The service could not be started. {error}", style="bold red"))
        _say_tail(console, error.tail)
        return _NOT_STARTED
    except (UnexpectedAnswerError, aiohttp.ClientError, TimeoutError) as error:
        why = str(error) or type(error).__name__
        console.print(Text(f"The session could not be played to its end: {why}.", style="bold red"))
        _say_tail(console, tail)
        return _FAILED
    checks = [*verdict(seen), *_service_checks(running)]
    report.show(console, seen, checks)
    if keep is not None:
        for path in keeping.keep_in(keep, seen, checks, svg):
            console.print(Text(f"  kept {path}", style="dim"))
    return _HOLDS if all(check.holds for check in checks) else _FAILED


async def _perform(
    plan: Plan, screen: Screen, clock: Clock, running: service.Service
) -> tuple[Evidence, str]:
    started = clock.now()
    screen.expect("the service starts, with a new database")
    await running.ready()
    took = clock.now() - started
    screen.note(
        f"service ready on {running.address} after {took.total_seconds():.1f} s: "
        "private PostgreSQL and Valkey, local Ably endpoint",
        mark="✓",
        style="green",
    )
    tokens = CallerTokens(
        algorithms=("HS256",), issuer="rdchat", audience="rdchat", clock=clock, secret=running.jwt_secret
    )
    hush(asyncio.get_running_loop())
    timeout = aiohttp.ClientTimeout(total=_REQUEST_SECONDS)
    async with aiohttp.ClientSession(running.address, timeout=timeout) as http:

        def person_of(caller: Caller, *, with_token: bool = True) -> Person:
            token = tokens.issue(caller, lifetime=_TOKEN_LIFETIME) if with_token else ""
            return Person(http, caller, token)

        # A machine that takes long to start a service takes long to subscribe to it as well.
        time_to_subscribe = min(max(took / 2, _QUICK), _SLOW)
        return await _while_it_runs(running, Play(plan, screen, clock, person_of).perform(time_to_subscribe))


async def _while_it_runs(running: service.Service, scenes: Coroutine[Any, Any, _T]) -> _T:
    """Play, but do not wait for what a dead service will never do."""
    playing, watching = asyncio.create_task(scenes), asyncio.create_task(running.ended())
    try:
        await asyncio.wait((playing, watching), return_when=asyncio.FIRST_COMPLETED)
        if playing.done() and playing.exception() is None:
            return playing.result()
        # A connection that breaks is often the first sign of it.
        await asyncio.wait((watching,), timeout=_LAST_SIGN_SECONDS)
        if watching.done():
            raise UnexpectedAnswerError("the service ended in the middle of it")
        return playing.result()
    finally:
        for task in (playing, watching):
            task.cancel()
        await asyncio.wait((playing, watching))


def _service_checks(ended: service.Service) -> list[Check]:
    return [
        Check("The service logged no error", [], ended.faults),
        Check("It ended in order when it was asked to", ["exit status 0"], [f"exit status {ended.status}"]),
    ]


def _say_tail(console: Console, tail: list[str]) -> None:
    console.print("The end of what it said:")
    for line in tail:
        console.print(Text(f"  {line}", style="dim"))


class _Ending:
    """Lets SIGTERM and a closed terminal end this task in order: the service must not outlive the demo."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()

    def __enter__(self) -> Self:
        for number in _ENDINGS:
            self._loop.add_signal_handler(number, self._cancel, number)
        return self

    def __exit__(self, *_: object) -> None:
        for number in _ENDINGS:
            self._loop.remove_signal_handler(number)

    def _cancel(self, number: signal.Signals) -> None:
        self.signal = number
        if self._task is not None:
            self._task.cancel()
