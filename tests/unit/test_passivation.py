"""Idle actors are forgotten again and again, until it is closed; and what a refused commit says."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rdchat.common.errors import UnavailableError
from rdchat.engine import passivation
from rdchat.engine.passivation import Passivation
from rdchat.engine.storage import CommitRefusedError

if TYPE_CHECKING:
    import pytest


class CountingEngine:
    """An engine that notes how often it was asked to forget, and what."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self.twice = asyncio.Event()

    def passivate(self, *, idle_seconds: float) -> None:
        self.asked.append(idle_seconds)
        if len(self.asked) == 2:
            self.twice.set()


async def test_idle_actors_are_forgotten_every_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passivation, "_EVERY_SECONDS", 0.01)
    engine = CountingEngine()
    passive = Passivation(engine)  # type: ignore[arg-type]
    await passive.close()
    passive.start()
    [task] = [task for task in asyncio.all_tasks() if task.get_name() == "passivation"]
    async with asyncio.timeout(5):
        await engine.twice.wait()
    await passive.close()
    assert task.done()
    assert set(engine.asked) == {120.0}


def test_a_refused_commit_says_why_and_repeats_nothing_unless_it_says_so() -> None:
    refused = CommitRefusedError("too long")
    assert str(refused) == "too long"
    assert refused.repeats is False
    assert refused.failure is None
    assert CommitRefusedError("twice", repeats=True).repeats is True
    told = UnavailableError("PostgreSQL")
    assert CommitRefusedError("too much", failure=told).failure is told
