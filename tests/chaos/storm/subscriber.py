"""A subscriber with the genuine Ably SDK, on the channels of some of the sessions."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from ably import AblyRealtime

from rdchat.common.clock import SystemClock
from rdchat.events.channels import chat_channel
from rdchat.security.ably_tokens import ably_token

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from uuid import UUID

    from ably.types.message import Message

    from tests.chaos.storm.stage import Stage

_CONNECT_SECONDS: Final = 15.0


class Subscriber:
    """Listens. `heard`: by session, the Ably ids of what came, in order, repetitions included."""

    def __init__(self, client: AblyRealtime) -> None:
        self._client = client
        self.heard: dict[UUID, list[str]] = {}

    async def attend(self, session_id: UUID) -> None:
        """Subscribe to a session's channel; returns once nothing can be missed any more."""
        ids = self.heard[session_id] = []

        def hear(message: Message) -> None:
            ids.append(message.id)

        async with asyncio.timeout(_CONNECT_SECONDS):
            await self._client.channels.get(chat_channel(session_id)).subscribe(hear)


@asynccontextmanager
async def a_subscriber(stage: Stage) -> AsyncIterator[Subscriber]:
    """Connect to the stage's endpoint."""

    async def authenticate(_params: object) -> str:
        return ably_token(
            stage.ably_key,
            capability={"*": ["subscribe"]},
            client_id=None,
            lifetime=timedelta(hours=1),
            now=SystemClock().now(),
        )

    client = AblyRealtime(auth_callback=authenticate, endpoint=f"{stage.ably.address}/", tls=False)
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            await client.connection.once_async("connected")
        yield Subscriber(client)
    finally:
        await client.close()
