"""The service's own client of Ably, against the local endpoint."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from rdchat.common.clock import SystemClock
from rdchat.events.channels import MESSAGE, chat_channel
from rdchat.events.outbox_entry import OutboxEntryBuilder
from rdchat.realtime.ably_client import AblyClient
from tests.support.memory_storage import SetClock

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from rdchat.events.outbox_entry import Event
    from rdchat.local.ably import AblyLocal
    from rdchat.realtime.ably_client import PublishError


def group(session_id: UUID, content: str = "x") -> list[Event]:
    builder = OutboxEntryBuilder(session_id, 1)
    builder.add(chat_channel(session_id), MESSAGE, {"content": content})
    entry = builder.build(1, SetClock().now())
    assert entry is not None
    return list(entry.events)


async def test_what_a_refusal_means(
    make_endpoint: Callable[..., Awaitable[AblyLocal]], key: tuple[str, str], mint: Callable[..., str]
) -> None:
    endpoint = await make_endpoint(channel_publishes=1.0, message_size=1_000)
    client = AblyClient(":".join(key), endpoint=endpoint.address, server_token=mint)
    busy, quiet, large = (uuid4() for _ in range(3))
    try:
        assert await client.publish([group(busy)]) == [None]
        crowded, taken, refused = await client.publish(
            [group(busy, "again"), group(quiet), group(large, "x" * 2_000)]
        )
    finally:
        await client.close()
    assert crowded is not None
    assert (crowded.crowded, crowded.permanent) == (True, False)
    assert taken is None
    assert refused is not None
    assert (refused.crowded, refused.permanent) == (False, True)


async def test_a_revocation_of_the_future_is_asked_for_again(
    make_endpoint: Callable[..., Awaitable[AblyLocal]], key: tuple[str, str], mint: Callable[..., str]
) -> None:
    """Ably's clock, or ours, is off: the tokens can be revoked a little later."""
    endpoint = await make_endpoint()
    client = AblyClient(":".join(key), endpoint=endpoint.address, server_token=mint)

    async def revoke(**ago: float) -> PublishError | None:
        builder = OutboxEntryBuilder(uuid4(), 1)
        builder.revoke(["session-1", "desk:budi"], SystemClock().now() - timedelta(**ago))
        return await client.revoke(builder.events)

    try:
        assert await revoke(seconds=0) is None
        ahead, late = await revoke(seconds=-60), await revoke(hours=2)
    finally:
        await client.close()
    assert ahead is not None
    assert not ahead.permanent
    assert late is not None
    assert late.permanent
