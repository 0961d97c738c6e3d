"""Stopping people: by deactivating, revoking tokens, changing roles. Everywhere within a second, Ably too."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import asyncpg
import jwt
import pytest
from ably import AblyRealtime

from rdchat.common.errors import UnavailableError
from rdchat.domain.person import Caller, Role
from rdchat.local.ably.faults import Fault, FaultKind, Operation
from rdchat.postgres import access_rules
from tests.support.database_users import as_owner
from tests.support.envelope import assert_refused
from tests.support.forms import photo, upload
from tests.support.keys import read_person
from tests.support.pair import a_pair
from tests.support.service import SECRET, Person, Service, whole_second
from tests.support.sessions import opened
from tests.support.soon import in_days, session_soon
from tests.support.tokens import claims_of
from tests.support.waiting import until
from tests.support.world import at_instant

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.support.pair import Pair

#: What is promised is one; a busy machine may take the others.
SECOND = 3.0


@pytest.fixture
async def pair(tmp_path: Path, database_url: str, redis_url: str) -> AsyncIterator[Pair]:
    async with a_pair(tmp_path, database_url=database_url, redis_url=redis_url) as pair:
        yield pair


def signed(service: Service, person_id: UUID, role: Role = Role.CLIENT, **changes: Any) -> Person:
    """A person with a token of one's own making."""
    token = jwt.encode(claims_of(sub=str(person_id), role=role.value, **changes), SECRET, algorithm="HS256")
    return Person(service.client, service.base, Caller(person_id, role, "Budi"), token)


async def refused_everywhere(pair: Pair, person: Person, status: int, since: float) -> None:
    """Wait until a person is refused by both replicas, and see that it took no longer than is promised."""
    for one in (person, pair.elsewhere(person)):

        async def is_refused(one: Person = one) -> bool:
            return (await one.get("/counselings")).status == status

        await until(is_refused, SECOND)
    assert time.monotonic() - since < SECOND


async def test_who_is_deactivated_is_refused_everywhere_within_a_second(pair: Pair) -> None:
    admin, client = pair.one.person(Role.SUPER_ADMIN, "Admin"), pair.one.person()
    assert (await pair.elsewhere(client).get("/counselings")).status == 200
    since = time.monotonic()
    saved = await admin.put(f"/people/{client.id}", {"isActive": False})
    assert saved.data == {
        "id": str(client.id),
        "isActive": False,
        "role": None,
        "revokedAt": None,
        "affected": [],
    }
    # Here at once.
    assert_refused(await client.get("/counselings"), 403, "FORBIDDEN", "This account is deactivated")
    await refused_everywhere(pair, client, 403, since)
    # Whatever their token says, and whatever it is asked for.
    for role in Role:
        other = pair.one.person(role, person_id=client.id)
        for method, path in (("GET", "/psychologists"), ("GET", "/chat/ably-token"), ("PUT", "/calendar")):
            assert_refused(await other.call(method, path), 403, "FORBIDDEN")
    # Others are not.
    assert (await pair.one.person().get("/counselings")).status == 200

    assert (await admin.put(f"/people/{client.id}", {"isActive": True})).data["isActive"] is True
    assert (await client.get("/counselings")).status == 200

    async def is_back() -> bool:
        return (await pair.elsewhere(client).get("/counselings")).status == 200

    await until(is_back, SECOND)


async def test_a_replica_that_starts_knows_who_is_stopped(pair: Pair) -> None:
    admin, client, thief = pair.one.person(Role.SUPER_ADMIN), pair.one.person(), pair.one.person()
    await admin.put(f"/people/{client.id}", {"isActive": False})
    await admin.post(f"/people/{thief.id}/revoke", {})
    # As if it had been long ago: no token can be older.
    await pair.one.runtime.pool.execute(
        "UPDATE access_rules SET revoked_at = revoked_at - interval '25 hours' WHERE person_id = $1", thief.id
    )
    async with pair.world.service() as third:
        for person, status in ((client, 403), (thief, 200), (pair.one.person(), 200)):
            there = Person(third.client, third.base, person.caller, person.token)
            assert (await there.get("/counselings")).status == status
        assert list(third.runtime.access._rules) == [client.id]  # noqa: SLF001 - nothing but what matters


async def test_revoked_tokens_are_refused_and_later_ones_are_not(pair: Pair) -> None:
    admin, client = pair.one.person(Role.SUPER_ADMIN), pair.one.person()
    assert (await pair.elsewhere(client).get("/counselings")).status == 200
    since = time.monotonic()
    answer = (await admin.post(f"/people/{client.id}/revoke", {})).data
    assert answer["isActive"] is True
    assert answer["revokedAt"].endswith("Z")
    await refused_everywhere(pair, client, 401, since)
    revoked_at = await pair.one.runtime.pool.fetchval(
        "SELECT extract(epoch FROM revoked_at)::float8 FROM access_rules WHERE person_id = $1", client.id
    )
    # A token knows the second alone. None of that second is good, whether it was made before or after ...
    second = int(revoked_at)
    assert_refused(await signed(pair.one, client.id, iat=second).get("/counselings"), 401, "UNAUTHENTICATED")
    # ... and all of the next one are.
    assert (await signed(pair.one, client.id, iat=second + 1).get("/counselings")).status == 200
    assert (await signed(pair.other, client.id, iat=second + 1).get("/counselings")).status == 200
    again = pair.one.person(person_id=client.id)

    async def is_let_in() -> bool:
        again.token = pair.one.person(person_id=client.id).token
        return (await again.get("/counselings")).status == 200

    await until(is_let_in, SECOND)
    # An administrator may sign out everywhere as well.
    assert (await admin.post(f"/people/{admin.id}/revoke", {})).status == 200
    assert_refused(await admin.get("/counselings"), 401, "UNAUTHENTICATED")


@asynccontextmanager
async def listening(person: Person, session_id: str) -> AsyncIterator[tuple[Any, list[str]]]:
    """Listen with the genuine SDK. Gives it, and what became of each token that it asked for."""
    given: list[str] = []

    async def authenticate(_params: Any) -> str:
        reply = await person.get("/chat/ably-token", sessionId=session_id)
        given.append(str(reply.status))
        token: str = reply.data["token"]
        return token

    options = (await person.get("/chat/ably-token", sessionId=session_id)).data["clientOptions"]
    ably = AblyRealtime(
        auth_callback=authenticate, endpoint=f"{options['endpoint']}:{options['port']}/", tls=False
    )
    await until(lambda: ably.connection.state == "connected")
    try:
        yield ably, given
    finally:
        await ably.close()


async def test_who_is_deactivated_hears_no_more_within_a_second(pair: Pair) -> None:
    admin = pair.one.person(Role.SUPER_ADMIN)
    client, psychologist, session_id = await opened(pair.one)
    token = (await client.get("/chat/ably-token", sessionId=session_id)).data["token"]
    async with (
        listening(client, session_id) as (ably, given),
        listening(psychologist, session_id) as (other, _),
    ):
        heard: list[str] = []
        await ably.channels.get(f"chat:session:{session_id}").subscribe(lambda one: heard.append(one.name))
        await admin.put(f"/people/{client.id}", {"isActive": False})
        await until(lambda: ably.connection.state != "connected", SECOND)
        assert (await psychologist.say(session_id, "Halo?")).status == 201
        await until(lambda: pair.one.runtime.publisher.held == 0)
        assert heard == []
        # They ask again, and get nothing; a token that they have kept opens nothing either.
        await until(lambda: "403" in given, 20)
        assert pair.world.ably is not None
        late = AblyRealtime(token=token, endpoint=f"{pair.world.ably.address}/", tls=False)
        await until(lambda: late.connection.state in ("failed", "disconnected", "suspended"))
        await late.close()
        assert other.connection.state == "connected"


async def test_a_token_from_just_before_everyone_knew_does_not_outlive_it(pair: Pair) -> None:
    """Another replica may give one out for half a second more: what was given by then is revoked as well."""
    admin = pair.one.person(Role.SUPER_ADMIN)
    client, _, session_id = await opened(pair.one)
    access = pair.other.runtime.access
    async with listening(client, session_id) as (ably, _):
        # It does not hear of the change, until told.
        refresh, access.refresh = access.refresh, _nothing  # type: ignore[method-assign]
        await at_instant(whole_second(0))
        await admin.post(f"/people/{client.id}/revoke", {})
        await until(lambda: ably.connection.state != "connected", SECOND)
        await at_instant(whole_second(0))
        access_token = (await pair.elsewhere(client).get("/chat/ably-token", sessionId=session_id)).data
        access.refresh = refresh  # type: ignore[method-assign]
    late = AblyRealtime(token=access_token["token"], endpoint=f"{pair.world.ably.address}/", tls=False)
    await until(lambda: late.connection.state == "connected")
    await until(lambda: late.connection.state != "connected")
    await late.close()


async def test_what_was_signed_before_and_is_redeemed_later_is_revoked_in_the_end(pair: Pair) -> None:
    """Ably takes a TokenRequest for a quarter of an hour."""
    admin = pair.one.person(Role.SUPER_ADMIN)
    client, _, session_id = await opened(pair.one)
    answer = await client.get("/chat/ably-token", sessionId=session_id, format="tokenRequest")
    request = answer.data["token"]
    await admin.put(f"/people/{client.id}", {"isActive": False})
    pool = pair.one.runtime.pool

    async def is_cut(times: int) -> bool:
        return bool(await pool.fetchval("SELECT cuts = $1 FROM access_rules", times))

    await until(lambda: is_cut(2))
    url = f"http://{pair.world.ably.address}/keys/{request['keyName']}/requestToken"
    async with pair.one.client.post(url, json=request) as redeemed:
        token = (await redeemed.json())["token"]
    late = AblyRealtime(token=token, endpoint=f"{pair.world.ably.address}/", tls=False)
    await until(lambda: late.connection.state == "connected")
    due = await pool.fetchval("SELECT cut_at > now() + interval '14 minutes' FROM access_rules")
    assert due is True
    await at_instant(whole_second(0))
    await pool.execute("UPDATE access_rules SET cut_at = now()")
    await until(lambda: late.connection.state != "connected")
    await late.close()
    await until(lambda: is_cut(3))
    assert await pool.fetchval("SELECT cut_at FROM access_rules") is None


async def _nothing() -> None:
    return None


async def test_while_ably_is_away_a_revocation_is_kept(pair: Pair) -> None:
    admin = pair.one.person(Role.SUPER_ADMIN)
    client, _, session_id = await opened(pair.one)
    async with listening(client, session_id) as (ably, _):
        await until(lambda: pair.one.runtime.publisher.held == 0)
        pair.world.ably.faults.add(Fault(FaultKind.FAIL, Operation.TOKEN, status=503, times=5))
        assert (await admin.put(f"/people/{client.id}", {"isActive": False})).status == 200
        assert_refused(await client.get("/counselings"), 403, "FORBIDDEN")
        await until(lambda: ably.connection.state != "connected", 20)


async def test_while_postgresql_is_away_what_is_known_stays_true(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin, client = service.person(Role.SUPER_ADMIN), service.person()
    await admin.put(f"/people/{client.id}", {"isActive": False})
    asked: list[int] = []

    async def away(*_: Any, **__: Any) -> Any:
        asked.append(1)
        raise UnavailableError("PostgreSQL")

    monkeypatch.setattr(access_rules, "list_since", away)
    await until(lambda: len(asked) >= 2)
    assert_refused(await client.get("/counselings"), 403, "FORBIDDEN")
    assert (await admin.get("/counselings")).status == 200
    monkeypatch.undo()
    other = service.person()
    await service.runtime.pool.execute(
        "WITH counted AS (UPDATE access_changes SET number = number + 1 RETURNING number)"
        " INSERT INTO access_rules (person_id, is_active, change) SELECT $1, false, number FROM counted",
        other.id,
    )
    await until(lambda: not service.runtime.access.is_active(other.id), SECOND)


async def test_a_server_that_lost_changes_is_read_from_the_start(service: Service, database_url: str) -> None:
    """After a failover the number is a lower one, and what comes next must not be overlooked."""
    admin, lost, kept = service.person(Role.SUPER_ADMIN), service.person(), service.person()
    await admin.put(f"/people/{lost.id}", {"isActive": False})
    await admin.put(f"/people/{kept.id}", {"isActive": False})
    owner = await asyncpg.connect(as_owner(database_url))
    await owner.execute("DELETE FROM access_rules WHERE person_id = $1", lost.id)
    await owner.execute("UPDATE access_changes SET number = 1")
    await owner.close()
    await until(lambda: service.runtime.access.is_active(lost.id), SECOND)
    assert not service.runtime.access.is_active(kept.id)


async def test_a_role_that_is_fixed_is_the_only_one(pair: Pair) -> None:
    admin, former = pair.one.person(Role.SUPER_ADMIN), pair.one.person(Role.SUPER_ADMIN, "Mantan")
    assert (await pair.elsewhere(former).get("/operations/overview")).status == 200
    since = time.monotonic()
    assert (await admin.put(f"/people/{former.id}", {"role": "client"})).data["role"] == "client"
    await refused_everywhere(pair, former, 403, since)
    assert_refused(await former.get("/counselings"), 403, "FORBIDDEN", "Your role is another one now")
    # A new token that says the same does not help; one that says the role that they have does.
    now = int(time.time())
    later = signed(pair.one, former.id, Role.SUPER_ADMIN, iat=now + 3)
    assert_refused(await later.get("/counselings"), 403, "FORBIDDEN")
    as_client = signed(pair.one, former.id, iat=now + 1)
    assert (await as_client.get("/counselings")).status == 200
    assert_refused(await as_client.get("/operations/overview"), 403, "FORBIDDEN")
    assert (await admin.put(f"/people/{former.id}", {"role": None})).data["role"] is None
    assert (await later.get("/operations/overview")).status == 200

    # What was issued before is as old as it was.
    async def is_refused() -> bool:
        return (await former.get("/counselings")).code == "UNAUTHENTICATED"

    await until(is_refused, SECOND)


async def test_a_later_token_with_another_role_takes_the_older_ones_powers(pair: Pair) -> None:
    """The identity provider is where roles are changed: what it says last is what is true."""
    person_id, now = uuid4(), int(time.time())
    admin = signed(pair.one, person_id, Role.SUPER_ADMIN, iat=now - 60)
    for one in (admin, pair.elsewhere(admin)):
        assert (await one.get("/operations/overview")).status == 200
    demoted = signed(pair.one, person_id, Role.CLIENT, iat=now - 30)
    since = time.monotonic()
    assert (await demoted.get("/counselings")).status == 200
    await refused_everywhere(pair, admin, 401, since)
    for one in (demoted, pair.elsewhere(demoted)):
        assert (await one.get("/counselings")).status == 200
    # And back: then the client's is the older one.
    promoted = signed(pair.one, person_id, Role.SUPER_ADMIN, iat=now + 4)
    assert (await promoted.get("/operations/overview")).status == 200
    await refused_everywhere(pair, demoted, 401, time.monotonic())


async def test_an_older_token_does_not_take_a_role_back(pair: Pair) -> None:
    """Also not on a replica that has seen neither the person nor the change."""
    person_id, now = uuid4(), int(time.time())
    access = pair.other.runtime.access
    refresh, access.refresh = access.refresh, _nothing  # type: ignore[method-assign]
    await signed(pair.one, person_id, Role.SUPERVISOR, iat=now - 60).get("/counselings")
    await signed(pair.one, person_id, Role.CLIENT, iat=now - 30, fullName="Budi Baru").get("/counselings")
    old = signed(pair.other, person_id, Role.SUPERVISOR, iat=now - 60)
    assert (await old.get("/counselings")).status == 200, "it has not heard of it yet"
    access.refresh = refresh  # type: ignore[method-assign]
    kept = await read_person(pair.one.runtime.pool, person_id)
    assert (kept["role"], kept["full_name"]) == ("client", "Budi Baru")
    await refused_everywhere(pair, old, 401, time.monotonic())


async def test_a_role_that_is_changed_by_hand_counts_as_well(pair: Pair) -> None:
    former = pair.one.person(Role.SUPER_ADMIN, "Mantan")
    assert (await former.get("/operations/overview")).status == 200
    since = time.monotonic()
    await pair.one.runtime.pool.execute("UPDATE people SET role = 'client' WHERE id = $1", former.id)
    await refused_everywhere(pair, former, 401, since)
    assert (await pair.one.person(person_id=former.id).get("/counselings")).status == 200
    kept = await pair.one.runtime.pool.fetchval("SELECT role FROM people WHERE id = $1", former.id)
    assert kept == "client"


async def test_who_is_made_a_psychologist_keeps_what_they_were(service: Service) -> None:
    admin = service.person(Role.SUPER_ADMIN, "Sari")
    await admin.get("/counselings")
    assert (await admin.put(f"/psychologists/{admin.id}", {"fullName": "Sari"})).status == 201
    await service.runtime.access.refresh()
    assert (await admin.get("/operations/overview")).status == 200


async def test_a_psychologist_who_is_deactivated_is_not_booked_any_more(service: Service) -> None:
    admin, client = service.person(Role.SUPER_ADMIN), service.person()
    sari = await service.psychologist()
    start = in_days(20)
    booked = (await client.book(start, start + timedelta(hours=1), psychologistId=str(sari.id))).data
    saved = (await admin.put(f"/people/{sari.id}", {"isActive": False})).data
    assert [one["id"] for one in saved["affected"]] == [booked["id"]]
    assert (await client.get(f"/psychologists/{sari.id}")).data["isActive"] is False
    assert [one["type"] for one in (await client.get("/notifications")).data["data"]][:1] == [
        "psychologist_unavailable"
    ]
    assert_refused(await sari.get("/counselings"), 403, "FORBIDDEN")
    # Being booked is another thing, and is said of the psychologist.
    assert (await admin.put(f"/people/{sari.id}", {"isActive": True})).data["affected"] == []
    assert (await client.get(f"/psychologists/{sari.id}")).data["isActive"] is False
    # And one who is not booked any more can still see to what they have.
    assert (await sari.get("/counselings")).status == 200


async def test_links_of_who_is_deactivated_open_nothing(service: Service) -> None:
    admin = service.person(Role.SUPER_ADMIN)
    client, _, session_id = await opened(service)
    calendar = (await client.put("/calendar")).data["url"]
    link = (await upload(client, session_id, photo())).data["attachment"]["url"]

    async def opens(url: str) -> int:
        async with service.client.get(url) as answer:
            return answer.status

    assert [await opens(url) for url in (calendar, link)] == [200, 200]
    await admin.put(f"/people/{client.id}", {"isActive": False})
    assert [await opens(url) for url in (calendar, link)] == [403, 403]
    await admin.put(f"/people/{client.id}", {"isActive": True})
    assert [await opens(url) for url in (calendar, link)] == [200, 200]
    # With a stolen token, a link may have been made that would be good for ever.
    await admin.post(f"/people/{client.id}/revoke", {})
    assert await opens(calendar) == 403


async def test_only_administrators_stop_people_and_not_themselves(service: Service) -> None:
    admin, victim = service.person(Role.SUPER_ADMIN), service.person()
    for role in Role:
        if role is not Role.SUPER_ADMIN:
            other = service.person(role)
            assert_refused(await other.put(f"/people/{victim.id}", {"isActive": False}), 403, "FORBIDDEN")
            assert_refused(await other.post(f"/people/{victim.id}/revoke", {}), 403, "FORBIDDEN")
    for body in ({"isActive": False}, {"role": "client"}):
        assert_refused(await admin.put(f"/people/{admin.id}", body), 409, "ILLEGAL_TRANSITION")
    assert (await admin.put(f"/people/{admin.id}", {"isActive": True, "role": "super_admin"})).status == 200
    assert (await victim.get("/counselings")).status == 200
    wrong: list[dict[str, Any]] = [{"isActive": 1}, {"role": "root"}, {"other": True}, {"isActive": None}]
    for one in wrong:
        assert_refused(await admin.put(f"/people/{victim.id}", one), 400, "VALIDATION_FAILED")


async def test_what_is_left_out_stays_and_the_same_again_changes_nothing(service: Service) -> None:
    admin, person_id = service.person(Role.SUPER_ADMIN), uuid4()
    path = f"/people/{person_id}"
    assert (await admin.put(path, {"isActive": False, "role": "student"})).status == 200

    async def is_cut() -> bool:
        return bool(await service.runtime.pool.fetchval("SELECT cuts = 2 FROM access_rules"))

    await until(is_cut)
    before = await service.runtime.pool.fetchrow("SELECT * FROM access_rules WHERE person_id = $1", person_id)
    for body in ({}, {"isActive": False}, {"role": "student"}):
        shown = (await admin.put(path, body)).data
        assert (shown["isActive"], shown["role"]) == (False, "student")
    after = await service.runtime.pool.fetchrow("SELECT * FROM access_rules WHERE person_id = $1", person_id)
    assert before == after
    assert (await admin.put(path, {"isActive": True})).data["role"] == "student"
    assert (await admin.post(f"{path}/revoke", {})).data["role"] == "student"


async def test_stopping_people_is_written_down(service: Service) -> None:
    admin, client = service.person(Role.SUPER_ADMIN, "Admin"), service.person()
    await admin.put(f"/people/{client.id}", {"isActive": False})
    await admin.post(f"/people/{client.id}/revoke", {})
    await admin.put(f"/people/{admin.id}", {"isActive": False})
    found = (await admin.get("/operations/actions")).data["data"]
    assert {one["subject"]["type"] for one in found} == {"person"}
    assert [(one["action"], one["subject"]["id"], one["outcome"]) for one in found] == [
        ("save_person", str(admin.id), "ILLEGAL_TRANSITION"),
        ("revoke_tokens", str(client.id), "done"),
        ("save_person", str(client.id), "done"),
    ]


async def test_a_chat_goes_on_for_the_other(service: Service) -> None:
    admin = service.person(Role.SUPER_ADMIN)
    psychologist = await service.psychologist()
    client = service.person()
    session_id = await session_soon(client, 1, 60)
    await admin.put(f"/people/{client.id}", {"isActive": False})
    await until(lambda: not service.runtime.access.is_active(client.id))

    async def is_open() -> bool:
        return bool((await psychologist.session(session_id))["isChatEnabled"])

    await until(is_open)
    assert_refused(await client.say(session_id, "Halo"), 403, "FORBIDDEN")
    assert (await psychologist.put(f"/chat/sessions/{session_id}/end")).status == 200
