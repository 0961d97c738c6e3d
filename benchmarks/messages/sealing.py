"""What it costs to encrypt what is published: from an outbox entry to the body of a request.

No servers, one thread, processor time: `python -m benchmarks.messages.sealing`. Plain and encrypted rounds
take turns, and the best counts: others on the machine only ever add. What a message costs in all, either way,
is measured by `python -m benchmarks.messages --quick --only rates --cipher`.
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

import click
import msgpack

from rdchat.common.clock import SystemClock
from rdchat.domain.message import Message, MessageType
from rdchat.events.outbox_entry import message_entry
from rdchat.realtime.ably_client import AblyClient
from rdchat.realtime.channel_cipher import ChannelCipher
from rdchat.security.encryption import Encryptor

if TYPE_CHECKING:
    from rdchat.events.outbox_entry import Event
    from rdchat.postgres.data_keys import KeyOwner

_ROUNDS = 30
_MESSAGES = 2_000
#: Of one request of a busy service.
_GROUPS = 20
_TEXT = "Akhir-akhir ini saya sulit tidur, dan pikiran saya tidak mau berhenti. 😔 "


class _Taken:
    """What the SDK gives back when all was accepted."""

    success = True

    def __init__(self, groups: int) -> None:
        self.items: list[dict[str, Any]] = [{"results": []}] * groups


class _Rest:
    """In the SDK's place: what follows the body of a request costs the same for both."""

    def __init__(self) -> None:
        self.bytes = 0

    async def request(self, _method: str, _path: str, *, version: str, body: bytes) -> _Taken:  # noqa: ARG002
        self.bytes += len(body)
        return _Taken(len(msgpack.unpackb(body)))


class _Keys:
    """The keys of sessions that are live: at hand."""

    def __init__(self) -> None:
        self._encryptor = Encryptor(os.urandom(32))

    def at_hand(self, _owner: KeyOwner) -> Encryptor:
        return self._encryptor


def _groups(characters: int) -> list[list[Event]]:
    """Make the events of messages, each of a session of its own."""
    text = (_TEXT * (1 + characters // len(_TEXT)))[:characters]
    groups = []
    for seq in range(1, _GROUPS + 1):
        session_id = uuid4()
        message = Message(
            id=uuid4(),
            session_id=session_id,
            seq=seq,
            sender_id=uuid4(),
            sender_name="Budi Santoso",
            text=text,
            message_type=MessageType.TEXT,
            client_message_id=str(uuid4()),
            created_at=SystemClock().now(),
        )
        entry = message_entry(seq, session_id, 1, message.created_at, [message])
        if entry is not None:
            groups.append(list(entry.events))
    return groups


async def _round(client: AblyClient, cipher: ChannelCipher | None, groups: list[list[Event]]) -> float:
    """Return the processor time of a message, in microseconds."""
    began = time.process_time()
    for _ in range(_MESSAGES // _GROUPS):
        await client.publish(groups if cipher is None else await cipher.seal(groups))
    return (time.process_time() - began) * 1e6 / _MESSAGES


async def _measure(characters: int) -> tuple[float, float]:
    """Return what a message costs, plain and encrypted, in microseconds."""
    client = AblyClient("app.key:secret", endpoint="127.0.0.1:1", server_token=lambda: "")
    rest = client._rest  # noqa: SLF001 - closed below, and stood in for
    client._rest = cast("Any", _Rest())  # noqa: SLF001
    cipher = ChannelCipher(cast("Any", None), cast("Any", _Keys()))
    groups = _groups(characters)
    plain, sealed = [], []
    for _ in range(_ROUNDS):
        plain.append(await _round(client, None, groups))
        sealed.append(await _round(client, cipher, groups))
    await rest.close()
    return min(plain), min(sealed)


@click.command()
@click.option("--message-us", default=450.0, show_default=True, help="What a message costs in all.")
def main(*, message_us: float) -> None:
    """Print what encrypting a message costs its publisher."""
    for characters in (20, 200, 1_000, 4_096):
        plain, sealed = asyncio.run(_measure(characters))
        click.echo(
            f"{characters:>5} characters: {plain:5.1f} us plain, {sealed:5.1f} us encrypted: "
            f"+{sealed - plain:4.1f} us, {(sealed - plain) / message_us:.1%} of a message's {message_us:g} us"
        )


if __name__ == "__main__":
    main()
