"""Listening to a session as its participants do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ably import AblyRealtime

if TYPE_CHECKING:
    from tests.support.service import Person


async def listen(person: Person, session_id: str) -> tuple[Any, list[dict[str, Any]]]:
    """Subscribe with the genuine SDK, by the token that the service gives."""
    access = (await person.get("/chat/ably-token", sessionId=session_id)).data
    options = access["clientOptions"]

    async def authenticate(_params: Any) -> str:
        token: str = access["token"]
        return token

    heard: list[dict[str, Any]] = []
    ably = AblyRealtime(
        auth_callback=authenticate, endpoint=f"{options['endpoint']}:{options['port']}/", tls=False
    )
    channel = ably.channels.get(access["channelName"])
    await channel.subscribe("message", lambda message: heard.append(message.data))
    return ably, heard
