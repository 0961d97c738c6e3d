"""Requests with a key of their sender, without HTTP: what is noted, who takes over, what is answered."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from structlog.testing import capture_logs

from handlers.api.idempotency import once
from handlers.http.routing import Answer
from rdchat.common.errors import ErrorCode, RdchatError, UnavailableError
from rdchat.common.telemetry import Metrics
from rdchat.domain.idempotency import Answered, Begun, KeyedRequest
from rdchat.postgres import idempotency, pool
from rdchat.postgres.data_keys import DataKeys, person_owner
from rdchat.postgres.idempotency import IN_FLIGHT, MISMATCH
from rdchat.security.encryption import KeyRing, context
from rdchat.services import idempotency as service_module
from rdchat.services.idempotency import IdempotencyService
from tests.support.database_users import planting
from tests.support.keys import data_keys
from tests.support.memory_storage import SetClock
from tests.support.service import ENCRYPTION_KEY

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from rdchat.postgres.pool import Pool

BUDI, ANI = UUID(int=1), UUID(int=2)
FIRST, SECOND = UUID(int=11), UUID(int=12)
ASKED = KeyedRequest(BUDI, "key", b"fingerprint")
UNDER_WAY = timedelta(seconds=20)
TICK = timedelta(milliseconds=1)
NOW = SetClock().instant


async def begin(
    database: Pool, request: KeyedRequest = ASKED, operation: UUID = FIRST, after: timedelta = timedelta(0)
) -> Any:
    return await idempotency.begin(database, request, operation, NOW + after, keys=data_keys())


# ---- the notes --------------------------------------------------------------------------------------------


async def test_one_begins_and_the_next_waits_until_it_is_left_behind(database: Pool) -> None:
    assert await begin(database) == Begun(FIRST, again=False)
    assert await begin(database, operation=SECOND) is IN_FLIGHT
    assert await begin(database, operation=SECOND, after=UNDER_WAY - TICK) is IN_FLIGHT
    assert await begin(database, operation=SECOND, after=UNDER_WAY) == Begun(FIRST, again=True)
    assert await begin(database, operation=SECOND, after=UNDER_WAY + TICK) is IN_FLIGHT


async def test_of_many_who_take_over_at_one_instant_one_does(database: Pool) -> None:
    await begin(database)
    for round_of in range(1, 6):
        late = UNDER_WAY * round_of
        found = await asyncio.gather(*(begin(database, operation=SECOND, after=late) for _ in range(8)))
        assert [one for one in found if one is not IN_FLIGHT] == [Begun(FIRST, again=True)]


async def test_another_request_with_the_key_is_a_mistake_and_another_senders_is_not(database: Pool) -> None:
    await begin(database)
    assert await begin(database, KeyedRequest(BUDI, "key", b"another")) is MISMATCH
    assert await begin(database, KeyedRequest(ANI, "key", b"another"), SECOND) == Begun(SECOND, again=False)
    assert await begin(database, KeyedRequest(BUDI, "yek", b"another"), SECOND) == Begun(SECOND, again=False)


async def test_an_answer_is_kept_encrypted_for_its_sender(database: Pool) -> None:
    await begin(database)
    await idempotency.finish(database, ASKED, FIRST, Answered(201, b"the answer"), keys=data_keys())
    assert await begin(database, after=timedelta(hours=5)) == Answered(201, b"the answer")
    assert await begin(database, KeyedRequest(BUDI, "key", b"another")) is MISMATCH
    kept = await database.fetchval("SELECT answer FROM idempotency")
    assert b"answer" not in kept
    await idempotency.drop(database, ASKED)
    await idempotency.give_away(database, ASKED, NOW)
    assert await begin(database) == Answered(201, b"the answer")


async def test_an_answer_is_bound_to_its_request_and_its_status(database: Pool) -> None:
    """As it is written here: answers that were kept before an update are read after it."""
    await begin(database)
    await idempotency.finish(database, ASKED, FIRST, Answered(201, b"the answer"), keys=data_keys())
    async with pool.acquire(database) as one:
        encryptor = await data_keys().get(one, person_owner(BUDI))
        kept = await one.fetchval("SELECT answer FROM idempotency")
    assert encryptor.decrypt(kept, context("answer", BUDI, "key", FIRST, 201)) == b"the answer"


@pytest.mark.parametrize(
    "change", ["status = 200", f"operation_id = '{SECOND}'", "answer = substr(answer, 1, length(answer) - 1)"]
)
async def test_an_answer_that_was_altered_is_none_and_an_alarm(database: Pool, change: str) -> None:
    await begin(database)
    await idempotency.finish(database, ASKED, FIRST, Answered(201, b"the answer"), keys=data_keys())
    async with planting(database) as one:
        await one.execute(f"UPDATE idempotency SET {change}")  # noqa: S608 - constant text
    metrics = Metrics()
    keys = DataKeys(KeyRing({"test": ENCRYPTION_KEY}), metrics)
    with capture_logs() as logged:
        assert await idempotency.begin(database, ASKED, SECOND, NOW, keys=keys) is IN_FLIGHT
    assert [(one["what"], one["where"]) for one in logged] == [("answer", str(BUDI))]
    assert 'rdchat_integrity_failures_total{what="answer"} 1.0' in metrics.page().decode()


async def test_where_the_senders_key_does_not_open_what_was_done_is_found_again(database: Pool) -> None:
    async with pool.acquire(database) as one:
        await data_keys().get_or_create(one, person_owner(BUDI))
    async with planting(database) as one:
        await one.execute("UPDATE data_keys SET wrapped = reverse(encode(wrapped, 'hex'))::bytea")
    await begin(database)
    await idempotency.finish(database, ASKED, FIRST, Answered(201, b"the answer"), keys=data_keys())
    assert await begin(database, operation=SECOND) is IN_FLIGHT
    assert await begin(database, operation=SECOND, after=UNDER_WAY) == Begun(FIRST, again=True)


async def test_what_is_dropped_begins_afresh(database: Pool) -> None:
    await begin(database)
    for another in (KeyedRequest(ANI, "key", b""), KeyedRequest(BUDI, "yek", b"")):
        await idempotency.drop(database, another)
        assert await begin(database, operation=SECOND) is IN_FLIGHT
    await idempotency.drop(database, ASKED)
    assert await begin(database, operation=SECOND) == Begun(SECOND, again=False)


async def test_what_is_given_away_is_taken_over_at_once_by_one(database: Pool) -> None:
    await begin(database)
    for another in (KeyedRequest(ANI, "key", b""), KeyedRequest(BUDI, "yek", b"")):
        await idempotency.give_away(database, another, NOW)
        assert await begin(database, operation=SECOND) is IN_FLIGHT
    await idempotency.give_away(database, ASKED, NOW)
    assert await begin(database, operation=SECOND) == Begun(FIRST, again=True)
    assert await begin(database, operation=SECOND) is IN_FLIGHT


async def test_old_notes_are_forgotten(database: Pool) -> None:
    await begin(database)
    await begin(database, KeyedRequest(ANI, "key", b"fingerprint"), after=TICK)
    assert await idempotency.forget(database, NOW) == 0
    assert await idempotency.forget(database, NOW + TICK) == 1
    assert await begin(database, operation=SECOND) == Begun(SECOND, again=False)
    assert await begin(database, KeyedRequest(ANI, "key", b"fingerprint")) is IN_FLIGHT


# ---- at the edge ------------------------------------------------------------------------------------------


class Edge:
    """Calls of one sender, and what was carried out for them."""

    def __init__(self, database: Pool) -> None:
        self.clock = SetClock()
        service = IdempotencyService(pool=database, keys=data_keys(), clock=self.clock)
        self.runtime = SimpleNamespace(idempotency=service)
        self.carried_out: list[tuple[UUID, bool]] = []

    async def ask(
        self,
        key: str | None = "key",
        *,
        fails: Exception | None = None,
        meanwhile: Callable[[], Awaitable[None]] | None = None,
        present: Callable[[Any], Awaitable[Any]] | None = None,
        who: UUID = BUDI,
        **parts: Any,
    ) -> Answer:
        async def perform(operation: UUID, again: bool) -> Answer:  # noqa: FBT001 - as `once` calls it
            self.carried_out.append((operation, again))
            if meanwhile is not None:
                await meanwhile()
            if fails is not None:
                raise fails
            return Answer({"id": operation}, "Done", 201)

        given: dict[str, Any] = {
            "operation": "book",
            "path": {"id": FIRST},
            "body": {"a": 1, "b": [NOW, b"f"]},
        }
        call = SimpleNamespace(
            runtime=self.runtime, caller=SimpleNamespace(id=who), idempotency_key=key, **(given | parts)
        )
        return await once(call, perform, present)  # type: ignore[arg-type]

    async def refused(self, **asked: Any) -> RdchatError:
        with pytest.raises(RdchatError) as caught:
            await self.ask(**asked)
        return caught.value


@pytest.fixture
def edge_of(database: Pool) -> Edge:
    return Edge(database)


async def test_without_a_key_each_call_is_one_of_its_own(edge_of: Edge) -> None:
    for _ in range(2):
        assert (await edge_of.ask(None)).headers is None
    (first, again), (second, once_more) = edge_of.carried_out
    assert first != second
    assert (again, once_more) == (False, False)


@pytest.mark.parametrize("key", ["", "k" * 256, "ke y", "kéy", "key\n", "\x7f"])
async def test_a_key_is_visible_ascii(edge_of: Edge, key: str) -> None:
    refusal = await edge_of.refused(key=key)
    assert refusal.code is ErrorCode.VALIDATION_FAILED
    assert refusal.fields == {"Idempotency-Key": ["Must be 1 to 255 visible ASCII characters."]}
    assert edge_of.carried_out == []


@pytest.mark.parametrize("key", ["!", "~" * 255])
async def test_the_second_answer_is_the_first(edge_of: Edge, key: str) -> None:
    answer = await edge_of.ask(key)
    assert answer.headers is None
    again = await edge_of.ask(key)
    assert len(edge_of.carried_out) == 1
    operation, repeated = edge_of.carried_out[0]
    assert repeated is False
    assert again == Answer({"id": str(operation)}, "Done", 201, {"Idempotency-Replayed": "true"})


async def test_a_repeated_answer_can_say_what_has_become_of_the_first(edge_of: Edge) -> None:
    async def present(answered: Any) -> Any:
        return answered | {"status": "extended"}

    first = await edge_of.ask(present=present)
    assert first.data == {"id": edge_of.carried_out[0][0]}
    again = await edge_of.ask(present=present)
    assert again.data == {"id": str(edge_of.carried_out[0][0]), "status": "extended"}
    assert len(edge_of.carried_out) == 1


@pytest.mark.parametrize(
    "parts",
    [
        {"operation": "cancel"},
        {"path": {"id": SECOND}},
        {"body": {"a": 2, "b": [NOW, b"f"]}},
        {"body": {"a": 1, "b": [NOW, b"g"]}},
        {"body": {"a": 1, "b": [NOW + TICK, b"f"]}},
        {"body": {}},
    ],
)
async def test_the_same_key_with_anything_else_is_refused(edge_of: Edge, parts: dict[str, Any]) -> None:
    await edge_of.ask()
    assert (await edge_of.refused(**parts)).code is ErrorCode.IDEMPOTENCY_MISMATCH
    assert len(edge_of.carried_out) == 1


async def test_values_that_json_does_not_know_are_told_apart(edge_of: Edge) -> None:
    await edge_of.ask(body={"timezone": ZoneInfo("Asia/Jakarta")})
    assert (await edge_of.ask(body={"timezone": ZoneInfo("Asia/Jakarta")})).headers is not None
    another = {"timezone": ZoneInfo("Asia/Makassar")}
    assert (await edge_of.refused(body=another)).code is ErrorCode.IDEMPOTENCY_MISMATCH


async def test_the_order_of_fields_and_another_sender_do_not_matter(edge_of: Edge) -> None:
    await edge_of.ask()
    assert (await edge_of.ask(body={"b": [NOW, b"f"], "a": 1})).headers == {"Idempotency-Replayed": "true"}
    assert (await edge_of.ask(who=ANI)).headers is None


async def test_a_refusal_leaves_the_key_as_it_was(edge_of: Edge) -> None:
    full = RdchatError(ErrorCode.CLIENT_LIMIT)
    assert await edge_of.refused(fails=full) is full
    await edge_of.ask()
    (refused, _), (done, again) = edge_of.carried_out
    assert refused != done
    assert again is False


@pytest.mark.parametrize("error", [RdchatError(ErrorCode.UNAVAILABLE), ValueError("a fault of ours")])
async def test_after_an_unknown_outcome_the_next_takes_over_at_once(
    edge_of: Edge, error: RdchatError | ValueError
) -> None:
    with pytest.raises(type(error)):
        await edge_of.ask(fails=error)
    await edge_of.ask()
    (first, again), (second, once_more) = edge_of.carried_out
    assert (first, again, once_more) == (second, False, True)


async def test_what_is_being_carried_out_is_to_be_asked_again_in_a_second(edge_of: Edge) -> None:
    heard: list[RdchatError] = []

    async def meanwhile() -> None:
        heard.append(await edge_of.refused())

    await edge_of.ask(meanwhile=meanwhile)
    assert [refusal.code for refusal in heard] == [ErrorCode.IDEMPOTENCY_IN_FLIGHT]
    assert heard[0].retry_after == 1
    assert len(edge_of.carried_out) == 1


# ---- notes while PostgreSQL comes and goes ----------------------------------------------------------------


def away(times: int, monkeypatch: pytest.MonkeyPatch, name: str) -> list[str]:
    """Let a note fail for some times before it is written."""
    attempts: list[str] = []
    write: Callable[..., Awaitable[None]] = getattr(idempotency, name)

    async def failing(*args: Any, **options: Any) -> None:
        attempts.append(name)
        if len(attempts) <= times:
            raise UnavailableError("PostgreSQL")
        await write(*args, **options)

    monkeypatch.setattr(idempotency, name, failing)
    monkeypatch.setattr(service_module, "_NOTE_PAUSE_SECONDS", 0.001)
    return attempts


async def test_a_note_is_tried_again_on_another_connection(
    edge_of: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    attempts = away(2, monkeypatch, "finish")
    await edge_of.ask()
    assert len(attempts) == 3
    assert (await edge_of.ask()).headers == {"Idempotency-Replayed": "true"}


async def test_what_was_done_is_answered_even_if_it_cannot_be_noted(
    edge_of: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_module, "_NOTE_SECONDS", 0.01)
    attempts = away(10**6, monkeypatch, "finish")
    assert (await edge_of.ask()).message == "Done"
    assert attempts
    assert (await edge_of.refused()).code is ErrorCode.IDEMPOTENCY_IN_FLIGHT
    edge_of.clock.forward(seconds=20)
    await edge_of.ask()
    assert edge_of.carried_out[1] == (edge_of.carried_out[0][0], True)
