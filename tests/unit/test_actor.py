"""The mailbox of a live session."""

from __future__ import annotations

import asyncio
from uuid import uuid4

from rdchat.engine.actor import Actor, PendingCommand
from statemachine import EndSession


async def test_commands_leave_a_mailbox_in_their_order_and_none_is_lost() -> None:
    actor = Actor(uuid4())
    loop = asyncio.get_running_loop()
    sent = [PendingCommand(EndSession(uuid4()), uuid4(), None, loop.create_future(), 0.0) for _ in range(5)]
    for pending in sent[:4]:
        actor.put(pending)
    assert actor.take(3) == sent[:3]
    actor.put(sent[4])
    assert actor.take(3) == sent[3:]
    # Thousands of sessions wait: none keeps room for what is not there.
    assert actor.mailbox is None
    assert actor.take(3) == []
