"""The last instant: what is on its way when the chat closes is either in it or refused, nothing between."""

from __future__ import annotations

from uuid import UUID

import pytest

from tests.support.waiting import until
from tests.support.world import World, together

pytestmark = pytest.mark.wall_time

SENDERS = 20


async def test_messages_in_flight_at_the_end(world: World) -> None:
    replica = await world.replica()
    [talk] = await world.book(replica.base, starts_in=1, lasts=2)
    await until(lambda: world.all_are("active"), 5)

    async def hammer(sender: int) -> None:
        person = (talk.client, talk.psychologist)[sender % 2]
        number = 0
        while True:
            said, reply = await world.say(talk, person, f"{sender}.{number}", named=sender % 4 < 2)
            assert reply is not None
            number += 1
            if not said.replies:
                assert said.refused == [(400, "SESSION_ENDED")]
                return

    await together(*[hammer(sender) for sender in range(SENDERS)])
    # Hundreds of commits in two seconds, and Ably takes fifty publishes a second on a channel.
    await world.check(30)
    rows = await world.fetch("SELECT * FROM messages WHERE session_id = $1 ORDER BY seq", UUID(talk.id))
    closing = rows[-1]
    assert closing["message_type"] == "automated"
    assert closing["created_at"] >= talk.ends_at
    assert all(row["created_at"] < talk.ends_at and row["seq"] < closing["seq"] for row in rows[:-1])
    accepted = {reply[1] for said in world.said for reply in said.replies}
    assert accepted == {str(row["id"]) for row in rows if row["message_type"] == "text"}
    assert len(accepted) > 100
