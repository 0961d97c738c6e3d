"""Quick replies: each psychologist's own, in their order, and readable by nobody else."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest

from rdchat.domain.person import Role
from rdchat.domain.quick_reply import LONGEST_TEXT, LONGEST_TITLE, MOST_QUICK_REPLIES
from tests.support.at_rest import plaintext_in_database
from tests.support.envelope import assert_refused

if TYPE_CHECKING:
    from tests.support.service import Person, Reply, Service

TITLE, TEXT = "Salam rahasia", "Halo, kalimat ini hanya milik saya"


async def keep(person: Person, title: str = TITLE, text: str = TEXT, key: str | None = None) -> Reply:
    headers = {} if key is None else {"Idempotency-Key": key}
    return await person.call("POST", "/quick-replies", json={"title": title, "text": text}, headers=headers)


async def kept(person: Person, *titles: str) -> list[str]:
    """Keep some. Return their ids."""
    replies = [await keep(person, title) for title in titles]
    assert {reply.status for reply in replies} <= {201}
    return [reply.data["id"] for reply in replies]


async def shown(person: Person) -> list[tuple[str, int]]:
    found = (await person.get("/quick-replies")).data
    return [(one["title"], one["position"]) for one in found]


async def delete(person: Person, reply_id: object) -> Reply:
    return await person.call("DELETE", f"/quick-replies/{reply_id}")


async def test_it_is_kept_changed_and_deleted(service: Service) -> None:
    person = service.person(Role.PSYCHOLOGIST)
    assert (await person.get("/quick-replies")).data == []
    first = await keep(person)
    assert (first.status, set(first.data)) == (
        201,
        {"id", "title", "text", "position", "createdAt", "updatedAt"},
    )
    assert (first.data["title"], first.data["text"], first.data["position"]) == (TITLE, TEXT, 1)
    assert first.data["createdAt"] == first.data["updatedAt"]
    path = f"/quick-replies/{first.data['id']}"
    for nothing_new in ({}, {"title": TITLE}, {"position": 1}, {"position": 50}, {"text": TEXT}):
        same = await person.put(path, nothing_new)
        assert (same.status, same.data) == (200, first.data)
    changed = await person.put(path, {"text": "  Dua\nbaris \u200b"})
    assert changed.data == first.data | {
        "text": "  Dua\nbaris \u200b",
        "updatedAt": changed.data["updatedAt"],
    }
    assert (await person.get("/quick-replies")).data == [changed.data]
    assert (await delete(person, first.data["id"])).data == {"deleted": True}
    again = await delete(person, first.data["id"])
    assert (again.status, again.data) == (200, {"deleted": False})
    assert_refused(await person.put(path, {}), 404, "NOT_FOUND", "Quick reply not found")
    assert (await person.get("/quick-replies")).data == []


async def test_places_stay_without_gaps(service: Service) -> None:
    person = service.person(Role.PSYCHOLOGIST)
    ids = await kept(person, "a", "b", "c", "d")
    before = (await person.get("/quick-replies")).data
    moved = await person.put(f"/quick-replies/{ids[3]}", {"position": 2})
    assert moved.data["position"] == 2
    assert await shown(person) == [("a", 1), ("d", 2), ("b", 3), ("c", 4)]
    others = {one["id"]: one["updatedAt"] for one in (await person.get("/quick-replies")).data}
    assert all(others[one["id"]] == one["updatedAt"] for one in before[:3]), "they only made room"
    assert (await person.put(f"/quick-replies/{ids[0]}", {"position": 3})).data["position"] == 3
    assert await shown(person) == [("d", 1), ("b", 2), ("a", 3), ("c", 4)]
    last = await person.put(f"/quick-replies/{ids[3]}", {"position": 50, "title": "D"})
    assert last.data["position"] == 4
    assert await shown(person) == [("b", 1), ("a", 2), ("c", 3), ("D", 4)]
    assert (await delete(person, ids[0])).data == {"deleted": True}
    assert await shown(person) == [("b", 1), ("c", 2), ("D", 3)]
    assert (await keep(person, "e")).data["position"] == 4


async def test_what_is_refused(service: Service) -> None:
    person = service.person(Role.PSYCHOLOGIST)
    (reply_id,) = await kept(person, "a")
    good = {"title": "a", "text": TEXT}
    wrong: list[tuple[str, Any]] = [
        ("title", ""),
        ("title", " \t"),
        ("title", "x" * (LONGEST_TITLE + 1)),
        ("text", ""),
        ("text", "\n"),
        ("text", "x" * (LONGEST_TEXT + 1)),
        ("text", "a\x00b"),
        ("title", None),
    ]
    for name, value in wrong:
        for refused in (
            await person.post("/quick-replies", good | {name: value}),
            await person.put(f"/quick-replies/{reply_id}", {name: value}),
        ):
            assert_refused(refused, 400, "VALIDATION_FAILED")
    for position in (0, -1, MOST_QUICK_REPLIES + 1, 1.5, "1", True, None):
        assert_refused(await person.put(f"/quick-replies/{reply_id}", {"position": position}), 400)
    assert_refused(await person.post("/quick-replies", good | {"position": 1}), 400)
    longest = {"title": "\U0001f60a" * LONGEST_TITLE, "text": "\U0001f60a" * LONGEST_TEXT}
    taken = (await person.put(f"/quick-replies/{reply_id}", longest)).data
    assert {name: taken[name] for name in longest} == longest
    assert (await person.get("/quick-replies")).data == [taken]


async def test_there_are_fifty_at_most_however_many_are_sent_at_once(service: Service) -> None:
    person = service.person(Role.PSYCHOLOGIST)
    replies = await asyncio.gather(*(keep(person, f"{n}") for n in range(MOST_QUICK_REPLIES + 10)))
    assert Counter(reply.status for reply in replies) == {201: MOST_QUICK_REPLIES, 409: 10}
    found = (await person.get("/quick-replies")).data
    assert [one["position"] for one in found] == list(range(1, MOST_QUICK_REPLIES + 1))
    assert_refused(await keep(person), 409, "QUICK_REPLY_LIMIT", "You have too many quick replies")
    assert (await keep(service.person(Role.PSYCHOLOGIST))).status == 201, "of each person"
    assert (await delete(person, found[7]["id"])).data == {"deleted": True}
    assert (await keep(person)).data["position"] == MOST_QUICK_REPLIES


async def test_moves_and_deletions_at_once_leave_an_order(service: Service) -> None:
    person = service.person(Role.PSYCHOLOGIST)
    ids = await kept(person, *"abcdefgh")
    await asyncio.gather(
        *(person.put(f"/quick-replies/{one}", {"position": 8 - n}) for n, one in enumerate(ids)),
        *(delete(person, one) for one in ids[:2] * 2),
    )
    assert [position for _, position in await shown(person)] == [1, 2, 3, 4, 5, 6]
    assert {title for title, _ in await shown(person)} == set("cdefgh")


async def test_sent_again_with_its_key_it_is_kept_once(service: Service) -> None:
    person = service.person(Role.PSYCHOLOGIST)
    first = await keep(person, key="satu")
    again = await keep(person, key="satu")
    assert (again.status, again.data) == (201, first.data)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert len((await person.get("/quick-replies")).data) == 1
    assert_refused(await keep(person, "Lain", key="satu"), 422, "IDEMPOTENCY_MISMATCH")


async def test_anothers_are_not_there(service: Service) -> None:
    person, other = service.person(Role.PSYCHOLOGIST), service.person(Role.PSYCHOLOGIST)
    (mine,) = await kept(person, TITLE)
    for reply_id in (mine, uuid4()):
        told = await other.put(f"/quick-replies/{reply_id}", {"title": "Lain"})
        assert_refused(told, 404, "NOT_FOUND", "Quick reply not found")
        assert (await delete(other, reply_id)).data == {"deleted": False}, "nor can the two be told apart"
    assert (await other.get("/quick-replies")).data == []
    assert await shown(person) == [(TITLE, 1)]


@pytest.mark.parametrize("role", sorted(set(Role) - {Role.PSYCHOLOGIST}))
async def test_only_psychologists_have_any(service: Service, role: Role) -> None:
    psychologist, person = service.person(Role.PSYCHOLOGIST), service.person(role)
    (mine,) = await kept(psychologist, TITLE)
    # Who was a psychologist, and whose token now says something else, reaches them no more.
    same = service.person(role, person_id=psychologist.id)
    for one in (person, same):
        assert_refused(await one.get("/quick-replies"), 403, "FORBIDDEN")
        assert_refused(await keep(one), 403, "FORBIDDEN")
        assert_refused(await one.put(f"/quick-replies/{mine}", {"title": "x"}), 403, "FORBIDDEN")
        assert_refused(await delete(one, mine), 403, "FORBIDDEN")
    assert await shown(psychologist) == [(TITLE, 1)]


async def test_no_word_of_it_is_readable_in_the_database(service: Service) -> None:
    person = service.person(Role.PSYCHOLOGIST)
    await keep(person, key="satu")
    pool = service.runtime.pool
    assert await plaintext_in_database(pool, "psychologist") != [], "what is there is found"
    for word in (TITLE, TEXT, "kalimat"):
        assert await plaintext_in_database(pool, word) == []


async def test_what_is_copied_to_another_place_cannot_be_read_there(service: Service) -> None:
    person, other = service.person(Role.PSYCHOLOGIST), service.person(Role.PSYCHOLOGIST)
    (mine,) = await kept(person, TITLE)
    await kept(other, "Lain")
    service_of, pool = service.runtime.quick_replies, service.runtime.pool
    await pool.execute(
        "UPDATE quick_replies o SET id = q.id, title = q.title, text = q.text FROM quick_replies q "
        "WHERE q.id = $1 AND o.person_id = $2",
        UUID(mine),
        other.id,
    )
    assert len(await service_of.list_quick_replies(person.caller)) == 1
    (copied,) = await service_of.list_quick_replies(other.caller)
    assert (copied.title, copied.text) == ("[…]", "[…]")
    await pool.execute("UPDATE quick_replies SET title = text WHERE person_id = $1", person.id)
    (own,) = await service_of.list_quick_replies(person.caller)
    assert own.title == "[…]"
    assert own.text not in (TITLE, "[…]")
