"""What Ably gets to carry when it is not to read: ciphertext, proven, and notifications without words."""

from __future__ import annotations

import base64
import hmac
import json
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7
from hypothesis import given
from hypothesis import strategies as st

from rdchat.common.errors import UnavailableError
from rdchat.common.json import as_json
from rdchat.common.telemetry import Metrics
from rdchat.domain.message import Message, MessageType
from rdchat.events import channels
from rdchat.events.outbox_entry import Event, OutboxEntryBuilder, SealedEvent, add_message
from rdchat.postgres import outbox
from rdchat.realtime import channel_cipher
from rdchat.realtime.ably_client import PublishError
from rdchat.realtime.channel_cipher import ChannelCipher, EventSealer
from rdchat.realtime.publisher import Publisher
from rdchat.security.encryption import ChannelKeys, Encryptor
from tests.support.memory_storage import SetClock
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rdchat.events.outbox_entry import OutboxEntry
    from rdchat.postgres.data_keys import KeyOwner

SESSION = UUID("00000000-0000-4000-8000-000000000001")
KEYS = Encryptor(b"d" * 32).channel_keys
CANARY = "burung kenari di tambang"


def decrypt(data: bytes, key: bytes) -> bytes:
    """As Ably's SDKs do it."""
    decryptor = Cipher(algorithms.AES(key), modes.CBC(data[:16])).decryptor()
    unpadder = PKCS7(128).unpadder()
    return unpadder.update(decryptor.update(data[16:]) + decryptor.finalize()) + unpadder.finalize()


def opened(event: SealedEvent, keys: ChannelKeys = KEYS) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(decrypt(event.data, keys.cipher))
    return read


def chat_event(payload: dict[str, Any], *, session_id: UUID = SESSION, name: str = channels.MESSAGE) -> Event:
    return Event(channels.chat_channel(session_id), "base:0", name, as_json(payload).decode())


class Keys:
    """The keys at hand, and those that a store has."""

    def __init__(self, *, held: bool = True, stored: bool = True) -> None:
        self.encryptor = Encryptor(b"d" * 32)
        self._held, self._stored = held, stored

    def at_hand(self, _owner: KeyOwner) -> Encryptor | None:
        return self.encryptor if self._held else None

    async def find(self, connection: object, owners: Sequence[Any]) -> dict[UUID, Encryptor]:
        assert connection == "connection"
        return {owner.id: self.encryptor for owner in owners} if self._stored else {}


class Acquired:
    async def __aenter__(self) -> str:
        return "connection"

    async def __aexit__(self, *_: object) -> None:
        return


def a_cipher(monkeypatch: pytest.MonkeyPatch, keys: Keys) -> ChannelCipher:
    monkeypatch.setattr(channel_cipher, "acquire", lambda _pool: Acquired())
    return ChannelCipher(None, keys)  # type: ignore[arg-type]


@given(st.binary(max_size=70), st.binary(min_size=32, max_size=32))
def test_what_is_encrypted_is_what_the_sdks_decrypt(plaintext: bytes, key: bytes) -> None:
    sealer = EventSealer(ChannelKeys(key, key))
    encrypted = sealer.encrypt(plaintext)
    assert decrypt(encrypted, key) == plaintext
    assert len(encrypted) % 16 == 0
    again = sealer.encrypt(plaintext)
    assert decrypt(again, key) == plaintext
    assert again[:16] != encrypted[:16], "the same words never look the same"


def test_an_event_keeps_its_place_and_hides_what_it_says() -> None:
    event = chat_event({"sessionId": str(SESSION), "seq": 7, "content": CANARY})
    sealed = EventSealer(KEYS).seal(event)
    assert (sealed.ably_id, sealed.name) == (event.ably_id, event.name)
    assert sealed.channel == f"chat:session:{SESSION}:sealed"
    assert sealed.encoding == "json/utf-8/cipher+aes-256-cbc"
    assert CANARY.encode() not in sealed.data
    payload = opened(sealed)
    proof = payload.pop("proof")
    assert payload == json.loads(event.data)
    said = f"message\n{event.data}".encode()
    assert base64.b64decode(proof) == hmac.new(KEYS.proof, said, "sha256").digest()[:16]


def test_a_proof_is_of_one_event_alone() -> None:
    other = Encryptor(b"e" * 32).channel_keys
    made = {
        EventSealer(keys).prove(name, payload)
        for name in ("message", "session-status")
        for payload in ('{"seq":1}', '{"seq":2}')
        for keys in (KEYS, other)
    }
    assert len(made) == 8


async def test_chats_are_encrypted_and_the_rest_goes_without_words(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {
        "id": "1",
        "type": "session_cancelled",
        "title": "Sesi dibatalkan",
        "message": CANARY,
        "data": {"sessionId": str(SESSION), "reason": CANARY},
    }
    notification = Event("notifications:user:1", "n:0", channels.NOTIFICATION, as_json(told).decode())
    typing = Event(channels.typing_channel(SESSION), "t:0", channels.TYPING, "{}")
    groups = [
        [chat_event({"seq": 1}), chat_event({"status": "completed"}, name=channels.SESSION_STATUS)],
        [notification],
        [typing],
    ]
    chat, notifications, others = await a_cipher(monkeypatch, Keys()).seal(groups)
    assert [type(one) for one in chat] == [SealedEvent, SealedEvent]
    (plain,) = notifications
    assert isinstance(plain, Event)
    assert json.loads(plain.data) == told | {
        "message": "Sesi dibatalkan",
        "data": {"sessionId": str(SESSION), "reason": None},
    }
    assert (plain.channel, plain.ably_id, plain.name) == ("notifications:user:1", "n:0", "notification")
    assert others == [typing]


async def test_a_key_that_is_not_at_hand_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    ((sealed,),) = await a_cipher(monkeypatch, Keys(held=False)).seal([[chat_event({"seq": 1})]])
    assert isinstance(sealed, SealedEvent)
    assert opened(sealed)["seq"] == 1


async def test_the_ciphers_of_sessions_long_past_are_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel_cipher, "_KEPT", 2)
    made: list[ChannelKeys] = []

    class Counted(EventSealer):
        def __init__(self, keys: ChannelKeys) -> None:
            made.append(keys)
            super().__init__(keys)

    monkeypatch.setattr(channel_cipher, "EventSealer", Counted)
    cipher = a_cipher(monkeypatch, Keys())
    one, two, three = (chat_event({"seq": 1}, session_id=uuid4()) for _ in range(3))
    for event in (one, two, one, three, one, two):
        await cipher.seal([[event]])
    assert len(made) == 4, "the two that were used last are at hand"


async def test_without_its_key_nothing_of_a_session_is_published(monkeypatch: pytest.MonkeyPatch) -> None:
    cipher = a_cipher(monkeypatch, Keys(held=False, stored=False))
    with pytest.raises(PublishError, match="key") as caught:
        await cipher.seal([[chat_event({"content": CANARY})]])
    assert caught.value.permanent


class Endpoint:
    """Takes what is published."""

    def __init__(self) -> None:
        self.taken: list[Event | SealedEvent] = []

    async def publish(self, groups: Sequence[Sequence[Event | SealedEvent]]) -> list[PublishError | None]:
        self.taken += [event for group in groups for event in group]
        return [None] * len(groups)


class Troubled(ChannelCipher):
    """Cannot reach the store at first; and has no key for one session, ever."""

    def __init__(self, lost: UUID) -> None:
        super().__init__(None, Keys())  # type: ignore[arg-type]
        self.lost = lost
        self.failures = 1

    async def _make_sealer(self, channel: str, session_id: UUID) -> EventSealer:
        if self.failures:
            self.failures -= 1
            raise UnavailableError("PostgreSQL")
        if session_id == self.lost:
            raise PublishError("no key", permanent=True)
        return await super()._make_sealer(channel, session_id)


def entry(session_id: UUID, number: int) -> OutboxEntry:
    builder = OutboxEntryBuilder(session_id, 1)
    builder.add(channels.chat_channel(session_id), channels.MESSAGE, {"seq": number})
    made = builder.build(number, SetClock().now())
    assert made is not None
    return made


async def test_the_publisher_keeps_what_cannot_be_encrypted_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    confirmed: list[int] = []

    async def confirm(_pool: object, ids: Sequence[int]) -> None:
        confirmed.extend(ids)

    monkeypatch.setattr(outbox, "delete_entries", confirm)
    endpoint, lost = Endpoint(), uuid4()
    made = Publisher(None, endpoint, None, Metrics(), cipher=Troubled(lost))  # type: ignore[arg-type]
    made.start(relay=False)
    try:
        made.hand_over([entry(uuid4(), 1), entry(lost, 2), entry(uuid4(), 3)])
        await until(lambda: len(confirmed) == 3, 5)
    finally:
        await made.close()
    assert all(isinstance(one, SealedEvent) for one in endpoint.taken), "never as plain text"
    seqs = [opened(one)["seq"] for one in endpoint.taken if isinstance(one, SealedEvent)]
    assert sorted(seqs) == [1, 3]


def test_the_shortest_messages_of_one_commit_fit_into_a_publish_when_they_are_encrypted() -> None:
    builder = OutboxEntryBuilder(SESSION, 1)
    for number in range(1, 401):
        add_message(
            builder,
            Message(
                id=uuid4(),
                session_id=SESSION,
                seq=number,
                sender_id=uuid4(),
                sender_name="B",
                text="y",
                message_type=MessageType.TEXT,
                client_message_id=None,
                created_at=SetClock().now(),
            ),
        )
    sealer = EventSealer(KEYS)
    groups: dict[str, int] = {}
    for event in builder.events:
        sealed = sealer.seal(event)
        assert len(sealed.data) - len(event.data.encode()) <= 67
        groups[event.base] = groups.get(event.base, 0) + len(sealed.data) + len(event.name)
    assert len(groups) > 1
    assert max(groups.values()) < 64 * 1024
