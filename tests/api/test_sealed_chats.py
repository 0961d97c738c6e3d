"""A service that keeps from Ably what is said: tokens, what is heard with them, and what Ably got."""

from __future__ import annotations

import base64
import json
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from ably import AblyRealtime
from ably.types.tokendetails import TokenDetails
from ably.util.exceptions import AblyException

from rdchat.realtime.channel_cipher import EventSealer
from rdchat.security.encryption import ChannelKeys
from tests.support.forms import upload
from tests.support.service import Service, service_settings
from tests.support.sessions import opened, reaches
from tests.support.soon import in_days, session_soon
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.service import Person

SAID, CAPTION, FILE_NAME, REASON, CLIENT, PSYCHOLOGIST = CANARIES = (
    "kenari-pesan",
    "kenari-keterangan",
    "kenari-berkas.txt",
    "kenari-alasan",
    "Kenari Klien",
    "Kenari Psikolog",
)


@pytest.fixture
async def sealed(tmp_path: Path, database_url: str, redis_url: str) -> AsyncIterator[Service]:
    settings = service_settings(tmp_path, dialect=None, ably_cipher=True)
    async with Service.running(settings, database_url=database_url, redis_url=redis_url) as service:
        yield service


async def access(person: Person, session_id: str | None = None, **more: str) -> dict[str, Any]:
    query = more if session_id is None else {"sessionId": session_id, **more}
    data: dict[str, Any] = (await person.get("/chat/ably-token", **query)).data
    return data


class Ear:
    """A person's genuine SDK on a chat channel, with the key that came with the token, or without."""

    def __init__(self, given: dict[str, Any], **options: Any) -> None:
        async def authenticate(_params: object) -> TokenDetails:
            return TokenDetails(given["token"], client_id=given["clientId"])

        where = given["clientOptions"]
        self.ably = AblyRealtime(
            auth_callback=authenticate, endpoint=f"{where['endpoint']}:{where['port']}/", tls=False
        )
        self.chat = self.ably.channels.get(given["channelName"], **options)
        self.heard: list[Any] = []

    async def listen(self) -> None:
        # The SDK takes no method of a list.
        await self.chat.subscribe(lambda message: self.heard.append(message))  # noqa: PLW0108


def as_bytes(data: Any) -> bytes:
    return data if isinstance(data, bytes) else str(data).encode()


def names_of(session_id: str) -> dict[str, str]:
    return {
        "channelName": f"chat:session:{session_id}:sealed",
        "typingChannelName": f"typing:session:{session_id}",
    }


async def test_the_keys_come_with_the_token(sealed: Service) -> None:
    client, psychologist, session_id = await opened(sealed)
    of_client, of_psychologist = await access(client, session_id), await access(psychologist, session_id)
    keys = {name: of_client[name] for name in ("cipherKey", "proofKey")}
    assert [len(base64.b64decode(key, validate=True)) for key in keys.values()] == [32, 32]
    assert len(set(keys.values())) == 2
    for answer in (of_client, of_psychologist):
        assert answer == answer | keys | names_of(session_id)
        assert answer["capability"][answer["channelName"]] == ["history", "presence", "subscribe"]
        assert f"chat:session:{session_id}" not in answer["capability"]
        claims = jwt.decode(answer["token"], options={"verify_signature": False})
        assert json.loads(claims["x-ably-capability"]) == answer["capability"]
        assert keys["cipherKey"] not in answer["token"], "Ably is shown the token"
    desk = await access(psychologist)
    assert desk["sessions"] == [{"sessionId": session_id, **names_of(session_id), **keys}]
    assert "cipherKey" not in desk
    request = await access(client, session_id, format="tokenRequest")
    assert request == request | keys | names_of(session_id)
    assert f"chat:session:{session_id}:sealed" in request["token"]["capability"]
    other = sealed.person()
    assert (await other.get("/chat/ably-token", sessionId=session_id)).code == "NOT_PARTICIPANT"


async def test_each_session_has_its_own_keys(sealed: Service) -> None:
    client = sealed.person()
    await sealed.psychologist()
    starts = [in_days(2), in_days(3)]
    booked = [await client.book_session(one, one + timedelta(hours=1)) for one in starts]
    given = [await access(client, one) for one in booked]
    assert len({one[name] for one in given for name in ("cipherKey", "proofKey")}) == 4


async def test_what_is_said_is_heard_with_the_key_and_read_by_no_one_else(sealed: Service) -> None:
    client, psychologist = sealed.person(name=CLIENT), await sealed.psychologist(PSYCHOLOGIST)
    session_id = await session_soon(client, 2, 60, psychologistId=str(psychologist.id))
    given = await access(client, session_id)
    ear = Ear(given, cipher={"key": given["cipherKey"]})
    stranger = Ear(await access(psychologist, session_id))
    await ear.listen()
    await stranger.listen()
    await reaches(client, session_id, "active")
    message = (await client.say(session_id, SAID)).data
    await upload(psychologist, session_id, b"isi", FILE_NAME, caption=CAPTION)
    await client.post("/chat/typing", {"sessionId": session_id, "isTyping": True})
    await client.put(f"/chat/sessions/{session_id}/read")
    await client.put(f"/chat/sessions/{session_id}/end")
    starts = in_days(2)
    booking = (await client.book(starts, starts + timedelta(hours=1))).data
    await client.put(f"/counselings/{booking['id']}/cancel", {"reason": REASON})
    heard = Counter({"message": 5, "session-status": 2, "message-read": 1})
    await until(lambda: Counter(one.name for one in ear.heard) >= heard)
    await until(lambda: len(stranger.heard) >= len(ear.heard))
    assert Counter(one.name for one in ear.heard) == heard
    keys = ChannelKeys(*(base64.b64decode(given[name]) for name in ("cipherKey", "proofKey")))
    sealer = EventSealer(keys)
    for one in ear.heard:
        payload = dict(one.data)
        proof = payload.pop("proof")
        text = json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
        assert proof == sealer.prove(one.name, text)
    said = {one.data["seq"]: one.data for one in ear.heard if one.name == "message"}
    told = said[message["seq"]]
    assert (told["id"], told["content"], told["senderName"]) == (message["id"], SAID, CLIENT)
    with_file = said[message["seq"] + 1]
    assert (with_file["content"], with_file["attachment"]["fileName"]) == (CAPTION, FILE_NAME)
    assert all(isinstance(one.data, bytes | bytearray) for one in stranger.heard)
    await ear.ably.close()
    await stranger.ably.close()

    endpoint = sealed.runtime.ably_local
    assert endpoint is not None

    def cancelled() -> list[dict[str, Any]]:
        told = [json.loads(one["data"]) for _, one in endpoint.published if one["name"] == "notification"]
        return [one for one in told if one["type"] == "session_cancelled"]

    await until(cancelled)
    (notification,) = cancelled()
    assert notification["data"]["reason"] is None
    assert notification["message"] == notification["title"]
    kept = (await psychologist.get("/notifications")).data["data"]
    (whole,) = [one for one in kept if one["id"] == notification["id"]]
    assert (whole["data"]["reason"], CLIENT in whole["message"]) == (REASON, True)
    recorded = b"\n".join(
        channel.encode() + b" " + one["name"].encode() + b" " + as_bytes(one["data"])
        for channel, one in endpoint.published
    )
    assert [one for one in CANARIES if one.encode() in recorded] == []
    assert not [channel for channel, _ in endpoint.published if channel == f"chat:session:{session_id}"]


async def test_by_the_name_of_before_one_hears_nothing(sealed: Service) -> None:
    client, _, session_id = await opened(sealed)
    given = await access(client, session_id)
    ear = Ear(given | {"channelName": f"chat:session:{session_id}"})
    with pytest.raises(AblyException) as caught:
        await ear.listen()
    assert caught.value.code == 40160
    await ear.ably.close()
