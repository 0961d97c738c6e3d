"""Signatures, verified by the reference implementation; and what becomes of a delivery after each answer."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from rdchat.webhooks.retry_policy import ATTEMPTS, Delivered, GiveUp, Retry, decide, pause_after
from rdchat.webhooks.sender import SendError, WebhookResponse, retry_after
from rdchat.webhooks.signing import signed_headers
from tests.support.webhooks import event

OLD, NEW, OTHER = b"o" * 24, b"n" * 32, b"x" * 32
NOW = datetime(2026, 11, 23, 7, 0, tzinfo=UTC)


def written(secret: bytes) -> str:
    """A secret as operators and receivers write it."""
    return f"whsec_{base64.b64encode(secret).decode()}"


def event_body() -> bytes:
    return event(at=NOW).body()


def verified(secret: bytes, body: bytes, headers: dict[str, str]) -> Any:
    return Webhook(written(secret)).verify(body, headers)


def test_the_reference_implementation_accepts_what_is_signed() -> None:
    body = event_body()
    said = verified(OLD, body, signed_headers([OLD], uuid4(), datetime.now(UTC), body))
    assert said == json.loads(body)
    assert (said["type"], said["timestamp"]) == ("notification.chat_enabled", "2026-11-23T07:00:00.000Z")
    assert set(said["data"]) == {"person", "id", "type", "title", "message", "data", "createdAt"}


def test_it_signs_as_the_reference_implementation_does() -> None:
    body, delivery_id = event_body(), uuid4()
    ours = signed_headers([NEW], delivery_id, NOW, body)["webhook-signature"]
    assert ours == Webhook(written(NEW)).sign(str(delivery_id), NOW, body.decode())


def test_while_a_secret_is_replaced_both_verify_and_no_other() -> None:
    body = event_body()
    headers = signed_headers([NEW, OLD], uuid4(), datetime.now(UTC), body)
    for secret in (OLD, NEW):
        assert verified(secret, body, headers)
    with pytest.raises(WebhookVerificationError, match="No matching signature"):
        verified(OTHER, body, headers)


@pytest.mark.parametrize("what", ["body", "webhook-id", "webhook-timestamp", "webhook-signature"])
def test_whatever_is_changed_on_the_way_is_noticed(what: str) -> None:
    body = event_body()
    now = datetime.now(UTC)
    headers = signed_headers([OLD], uuid4(), now, body)
    changed = {
        "webhook-id": str(uuid4()),
        "webhook-timestamp": str(int(now.timestamp()) + 1),
        "webhook-signature": f"v1,{base64.b64encode(b'0' * 32).decode()}",
    }
    if what == "body":
        body = body.replace(b"dimulai", b"selesai")
    else:
        headers[what] = changed[what]
    with pytest.raises(WebhookVerificationError, match="No matching signature"):
        verified(OLD, body, headers)


def test_what_was_recorded_cannot_be_played_again_later() -> None:
    body = event_body()
    with pytest.raises(WebhookVerificationError, match="timestamp too old"):
        verified(OLD, body, signed_headers([OLD], uuid4(), datetime.now(UTC) - timedelta(minutes=6), body))


def test_one_event_has_one_id_for_each_endpoint() -> None:
    notification_id = uuid4()
    first, again = event(notification_id=notification_id), event(notification_id=notification_id)
    other = event()
    assert first.delivery_id("https://a/") == again.delivery_id("https://a/")
    ids = {first.delivery_id("https://a/"), first.delivery_id("https://b/"), other.delivery_id("https://a/")}
    assert len(ids) == 3


# ---- retry policy -----------------------------------------------------------------------------------------


def no_chance(low: float, high: float) -> float:
    return (low + high) / 2


def test_ten_attempts_take_about_a_day_each_pause_longer_than_the_one_before() -> None:
    pauses = [pause_after(attempts, no_chance) for attempts in range(1, ATTEMPTS)]
    assert pauses == sorted(pauses)
    assert pauses[0] == timedelta(seconds=5)
    assert timedelta(hours=20) < sum(pauses, timedelta()) < timedelta(hours=28)


def test_chance_spreads_the_attempts() -> None:
    pauses = {pause_after(5) for _ in range(50)}
    assert len(pauses) > 40
    middle = pause_after(5, no_chance)
    assert all(middle * 0.79 < pause < middle * 1.21 for pause in pauses)
    assert pause_after(10_000, no_chance) == timedelta(hours=8)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_success_is_any_200(status: int) -> None:
    assert decide(WebhookResponse(status), 1) == Delivered(status)
    assert decide(WebhookResponse(status), ATTEMPTS) == Delivered(status)


def test_gone_is_the_end_at_once() -> None:
    assert decide(WebhookResponse(410), 1) == GiveUp("answered 410", 410)


@pytest.mark.parametrize("status", [100, 199, 300, 302, 307, 400, 401, 404, 408, 429, 500, 502, 503])
def test_everything_else_is_tried_again_until_the_attempts_are_used_up(status: int) -> None:
    assert isinstance(decide(WebhookResponse(status), 1), Retry)
    assert isinstance(decide(WebhookResponse(status), ATTEMPTS - 1), Retry)
    assert decide(WebhookResponse(status), ATTEMPTS) == GiveUp(f"answered {status}", status)


def test_who_does_not_answer_is_tried_again() -> None:
    first = decide(SendError("no answer in time"), 1, lambda _: timedelta(seconds=1))
    assert first == Retry("no answer in time", None, timedelta(seconds=1))
    assert decide(SendError("no answer in time"), ATTEMPTS) == GiveUp("no answer in time", None)


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_respected_within_bounds(status: int) -> None:
    def asked(wait: timedelta) -> timedelta:
        verdict = decide(WebhookResponse(status, wait), 1, lambda _: timedelta(seconds=5))
        assert isinstance(verdict, Retry)
        return verdict.pause

    assert asked(timedelta(seconds=90)) == timedelta(seconds=90)
    assert asked(timedelta(seconds=1)) == timedelta(seconds=5)
    assert asked(timedelta(days=400)) == timedelta(hours=8)


def test_of_other_answers_retry_after_means_nothing() -> None:
    verdict = decide(WebhookResponse(500, timedelta(hours=1)), 1, lambda _: timedelta(seconds=5))
    assert verdict == Retry("answered 500", 500, timedelta(seconds=5))


@pytest.mark.parametrize(
    ("value", "wait"),
    [
        ("0", timedelta(0)),
        ("120", timedelta(seconds=120)),
        ("9" * 5000, timedelta(seconds=10**8)),
        ("Mon, 23 Nov 2026 07:02:00 GMT", timedelta(minutes=2)),
        ("Mon, 23 Nov 2026 07:02:00 -0000", timedelta(minutes=2)),
        ("Mon, 23 Nov 2026 06:00:00 GMT", timedelta(0)),
        ("-5", None),
        ("soon", None),
        ("1.5", None),
        ("٣", None),
        ("", None),
        ("Mon, 99 Nov 2026 07:02:00 GMT", None),
        ("Mon, 23 Nov 99999 07:02:00 GMT", None),
    ],
)
def test_retry_after_is_read_in_both_forms_and_never_trusted(value: str, wait: timedelta | None) -> None:
    assert retry_after(value, NOW) == wait
