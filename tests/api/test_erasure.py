"""A client is erased in the middle of other people's lives: the words go, rows and the others' part stay."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from uuid import uuid4

import jwt
import orjson
import pytest

from rdchat.common.errors import ErrorCode, RdchatError
from rdchat.domain.operator_action import Operator
from rdchat.domain.person import Role
from rdchat.operations.privacy import erasing
from rdchat.operations.privacy.receipts import check_receipt, person_reference
from rdchat.postgres import erasures, pool
from rdchat.postgres.audit_checkpoints import audit_signer
from rdchat.texts.wording import ERASED, ERASED_NAMES
from tests.support.at_rest import plaintext_in_database
from tests.support.auditing import assert_audit_holds
from tests.support.envelope import assert_refused
from tests.support.erasing import HOUR, NAME, WORDS, Past, a_past, alarms, erase, rows_that_stay, texts_in
from tests.support.pair import a_pair
from tests.support.service import SECRET, Person
from tests.support.soon import in_days
from tests.support.spans import on_the_clock
from tests.support.tokens import claims_of
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.pair import Pair
    from tests.support.service import Service


@pytest.fixture
async def pair(tmp_path: Path, database_url: str, redis_url: str) -> AsyncIterator[Pair]:
    async with a_pair(tmp_path, database_url=database_url, redis_url=redis_url) as pair:
        yield pair


async def assert_placeholders(one: Person, past: Past) -> None:
    """All that a psychologist can ask for is answered, and says nothing."""
    history = await one.history(past.session_id)
    assert [message["seq"] for message in history] == list(range(1, len(history) + 1))
    assert {message["message"] for message in history} == {ERASED["id"]}
    session = f"/chat/sessions/{past.session_id}"
    for path, query in (
        ("/counselings", {}),
        (f"/counselings/{past.ahead}", {}),
        ("/chat/sessions", {}),
        ("/chat/sessions", {"order": "activity"}),
        (session, {}),
        (f"{session}/timeline", {}),
        (f"{session}/transcript", {"format": "json"}),
        (f"{session}/transcript", {"format": "txt"}),
        (f"{session}/transcript", {"format": "html"}),
        (f"/clients/{past.client.id}/notes", {}),
        ("/notifications", {}),
        ("/chat/unread", {}),
    ):
        reply = await one.get(path, **query)
        assert reply.status == 200, (path, reply.json)
        assert not any(text in str(reply.json) for text in (WORDS, NAME)), path
    assert (await one.put(f"{session}/read", {})).status == 200
    assert_refused(await one.get(f"/chat/attachments/{past.attachment}"), 404, "NOT_FOUND")
    listed = (await one.get("/counselings")).data["data"]
    assert [one["client"]["fullName"] for one in listed] == [ERASED_NAMES["id"]] * 2


async def test_a_client_is_erased_and_the_others_part_stays(pair: Pair, tmp_path: Path) -> None:
    service, past = pair.one, await a_past(pair.one)
    # Both replicas have the key in memory.
    elsewhere = pair.elsewhere(past.psychologist)
    assert WORDS in str(await elsewhere.history(past.session_id))
    assert len(files_named(tmp_path, past.attachment)) == 1
    before, told = await rows_that_stay(service), len(await notifications(past.psychologist))
    alarmed = alarms(pair.one), alarms(pair.other)

    erasure = await erase(service, past.client)

    counts = dict(erasure.counts)
    assert counts.pop("messages") >= 5
    assert {name: counts[name] for name in ("sessions", "counselings", "cancelled", "files", "notes")} == {
        "sessions": 2,
        "counselings": 2,
        "cancelled": 1,
        "files": 1,
        "notes": 1,
    }
    assert (counts["calendarLinks"], counts["clientMessageIds"], counts["dataKeys"]) == (1, 3, 4)
    after = await rows_that_stay(service)
    assert after.pop("timeline") > before.pop("timeline")
    assert after == before
    # The other side is told that what was ahead is cancelled.
    assert len(await notifications(past.psychologist)) == told + 1

    async def is_gone() -> bool:
        return WORDS not in str(await elsewhere.history(past.session_id))

    await until(is_gone, 3.0)
    await assert_placeholders(past.psychologist, past)
    await assert_placeholders(elsewhere, past)
    assert (alarms(pair.one), alarms(pair.other)) == alarmed
    # What was written down of them can still be seen to be as it was, without their keys.
    await assert_audit_holds(service)

    # What they called with is over, and nothing is left to be found.
    assert (await past.client.get("/counselings")).status == 401
    async with service.client.get(past.calendar) as calendar:
        assert calendar.status == 403
    for text in (WORDS, NAME, "pesan-0"):
        assert await plaintext_in_database(service.runtime.pool, text) == []
    assert files_named(tmp_path, past.attachment) == []
    # Done is done: there is nothing that could be erased once more.
    again = await erase(service, past.client)
    assert "sessions" not in again.counts


def files_named(folder: Path, name: str) -> list[Path]:
    return [one for one in folder.rglob(f"*{name}*") if one.is_file()]


async def notifications(person: Person) -> list[object]:
    found: list[object] = (await person.get("/notifications")).data["data"]
    return found


async def test_the_receipt_can_be_checked_and_names_no_one(service: Service) -> None:
    past = await a_past(service)
    receipt = (await erase(service, past.client)).receipt
    assert receipt is not None
    said = texts_in(orjson.loads(receipt))
    assert not {str(past.client.id), NAME, WORDS, past.session_id, past.ahead} & set(said)
    async with pool.acquire(service.runtime.pool) as connection:
        service_key = await service.runtime.privacy.erasures.keys.get_service_key(connection)
    checked = check_receipt(receipt, audit_signer(service_key).public_key)
    assert (checked.is_valid, checked.is_own) == (True, True)
    assert checked.said["person"] == person_reference(service_key, past.client.id)
    for part, other in ((checked.said["person"], "0" * 32), ('"files": 1', '"files": 0')):
        assert part in receipt
        assert not check_receipt(receipt.replace(part, other), None).is_valid
    with pytest.raises(ValueError, match="no receipt"):
        check_receipt("{}", None)


async def test_an_open_chat_and_a_stranger_are_refused(service: Service) -> None:
    past = await a_past(service, over=False)
    for person in (past.client, past.psychologist):
        with pytest.raises(RdchatError, match="A chat of this person is open") as refused:
            await erase(service, person)
        assert refused.value.code is ErrorCode.ILLEGAL_TRANSITION
    assert WORDS in str(await past.client.history(past.session_id)), "nothing has changed"
    with pytest.raises(RdchatError, match="Person not found"):
        await erase(service, service.person())
    own = uuid4()
    with pytest.raises(RdchatError, match="yourself"):
        await service.runtime.privacy.erasures.erase_person(Operator(own), own)


async def test_killed_again_and_again_it_ends_the_same(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cancelled wherever it is, within transactions too, it goes on and counts nothing twice."""
    monkeypatch.setattr(erasing, "_PAGE", 1)
    past = await a_past(service)
    attempts = 0
    for milliseconds in range(0, 120, 6):
        attempt = asyncio.create_task(erase(service, past.client))
        done, _ = await asyncio.wait({attempt}, timeout=milliseconds / 1000)
        if done:
            break
        attempt.cancel()
        await asyncio.wait({attempt})
        attempts += 1
    assert attempts > 5
    # The one that is recorded, which may have been finished just when it was to be cancelled.
    (begun,) = await erasures.list_erasures(service.runtime.pool, before=None, limit=2)
    erasure = await service.runtime.privacy.erasures.go_on(begun)
    counts = erasure.counts
    assert {name: counts[name] for name in ("sessions", "counselings", "cancelled", "files", "notes")} == {
        "sessions": 2,
        "counselings": 2,
        "cancelled": 1,
        "files": 1,
        "notes": 1,
    }
    assert (counts["calendarLinks"], counts["clientMessageIds"], counts["dataKeys"]) == (1, 3, 4)
    assert await plaintext_in_database(service.runtime.pool, NAME) == []
    assert alarms(service) == 0


async def test_over_http_one_exports_oneself_and_administrators_erase(service: Service) -> None:
    past, admin = await a_past(service), service.person(Role.SUPER_ADMIN, "Admin")
    path = f"/people/{past.client.id}"
    own = await past.client.get(f"{path}/export")
    assert own.headers["Cache-Control"] == "no-store"
    assert own.data["person"]["fullName"] == NAME
    assert WORDS in str(own.data["counselings"])
    assert WORDS in (await past.client.get(f"{path}/export", format="txt")).json
    for other in (admin, past.psychologist):
        assert_refused(await other.get(f"{path}/export"), 403, "FORBIDDEN")
    held = {"isHeld": True, "reason": "Perkara"}
    assert (await admin.put(f"{path}/hold", held)).data["heldSince"]
    asked = {"reason": "Diminta"}
    assert_refused(await admin.post(f"{path}/erase", asked), 409, "LEGAL_HOLD")
    assert (await admin.put(f"{path}/hold", held | {"isHeld": False})).data["heldSince"] is None
    erased = await admin.post(f"{path}/erase", asked)
    assert (erased.data["status"], erased.data["counts"]["sessions"]) == ("done", 2)
    assert check_receipt(orjson.dumps(erased.data["receipt"]), None).is_valid
    actions = (await admin.get("/operations/actions")).data["data"]
    assert [(one["action"], one["outcome"]) for one in actions[:2]] == [
        ("erase_person", "done"),
        ("hold_person", "done"),
    ]
    # The other's export says what is left of it.
    theirs = await past.psychologist.get(f"/people/{past.psychologist.id}/export")
    assert WORDS not in str(theirs.data)
    assert ERASED["id"] in str(theirs.data["counselings"])


async def test_a_psychologist_is_erased_and_the_clients_words_stay(service: Service) -> None:
    past = await a_past(service)
    kept = await past.psychologist.post("/quick-replies", {"title": "Salam", "text": WORDS})
    assert kept.status == 201
    erasure = await erase(service, past.psychologist)
    counts = erasure.counts
    assert (counts["notes"], counts["quickReplies"], counts["cancelled"]) == (1, 1, 1)
    assert "sessions" not in counts
    history = await past.client.history(past.session_id)
    assert WORDS in str(history)
    senders = {one["senderId"]: one["sender"]["fullName"] for one in history}
    assert senders == {str(past.client.id): NAME, str(past.psychologist.id): ERASED_NAMES["id"]}
    cancelled = await past.client.get(f"/counselings/{past.ahead}")
    assert (cancelled.data["status"], cancelled.data["notes"]) == ("cancelled", WORDS)
    # No one can book them any more.
    assert str(past.psychologist.id) not in str((await past.client.get("/psychologists")).json)
    assert alarms(service) == 0


async def test_one_who_comes_back_is_someone_new(service: Service) -> None:
    past = await a_past(service)
    await erase(service, past.client)
    assert_refused(await past.client.get("/counselings"), 401, "UNAUTHENTICATED")
    # Tokens know seconds: one of the next is later.
    later = service.runtime.clock.now().timestamp() + 1
    token = jwt.encode(
        claims_of(sub=str(past.client.id), role="client", fullName="Budi lagi", iat=int(later)),
        SECRET,
        algorithm="HS256",
    )
    back = Person(service.client, service.base, past.client.caller, token)

    async def is_let_in() -> bool:
        return (await back.get("/counselings")).status == 200

    await until(is_let_in, 5.0)
    assert {one["message"] for one in await back.history(past.session_id)} == {ERASED["id"]}
    keyed = await back.call(
        "POST",
        "/counselings/book",
        json={"method": "online", **on_the_clock(in_days(5), in_days(5) + HOUR), "notes": WORDS},
        headers={"Idempotency-Key": "kunci-9"},
    )
    assert keyed.status == 201, keyed.json
    assert (await back.get(f"/counselings/{keyed.data['id']}")).data["notes"] == WORDS
    assert alarms(service) == 0
