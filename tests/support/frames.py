"""Clients of the local Ably endpoint that are spoken for frame by frame."""

from __future__ import annotations

from typing import Any


async def publish(client: Any, channel: str, *data: str, serial: int = 0) -> dict[str, Any]:
    """Publish one message for each text, in one call, and wait for the ACK."""
    messages = [{"name": "n", "data": text} for text in data]
    await client.send(action=15, channel=channel, msgSerial=serial, messages=messages)
    ack: dict[str, Any] = await client.receive(1)
    return ack


def texts(frame: dict[str, Any]) -> list[str]:
    return [message["data"] for message in frame["messages"]]
