"""Checks of the error envelope: one place that knows which keys an error has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.spoken import ordinary

if TYPE_CHECKING:
    from tests.support.service import Reply

_KEYS = {"success", "message", "statusCode", "code", "requestId"}


def envelope_fault(reply: Reply) -> str | None:
    """Return what is wrong with the form of an error; None when nothing is."""
    body = ordinary(reply.json) if "status" in reply.json else reply.json
    if not isinstance(body, dict):
        return f"{reply.status} without envelope: {str(body)[:120]!r}"
    expected = _KEYS | ({"errors"} if body.get("code") == "VALIDATION_FAILED" else set())
    if not (400 <= reply.status < 500 or reply.status == 503) or set(body) != expected:
        return f"{reply.status} with {sorted(body)}: {str(body)[:200]}"
    if body["success"] is not False or body["statusCode"] != reply.status or not body["message"]:
        return f"{reply.status} does not fit {str(body)[:200]}"
    if not body["requestId"] or body["requestId"] != reply.headers.get("X-Request-Id", body["requestId"]):
        return f"requestId {body['requestId']!r}, header {reply.headers.get('X-Request-Id')!r}"
    return _errors_fault(body["errors"]) if "errors" in body else None


def _errors_fault(errors: object) -> str | None:
    if not isinstance(errors, dict) or not errors:
        return f"errors is {errors!r}"
    for name, texts in errors.items():
        if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
            return f"errors[{name!r}] is {texts!r}"
    return None


def assert_refused(
    reply: Reply, status: int | None = None, code: str | None = None, message: str | None = None
) -> None:
    """Assert a refusal in the envelope, and its parts as far as they are given."""
    fault = envelope_fault(reply)
    assert fault is None, fault
    if status is not None:
        assert reply.status == status, reply.json
    if code is not None:
        assert reply.json["code"] == code, reply.json
    if message is not None:
        assert reply.json["message"] == message, reply.json
