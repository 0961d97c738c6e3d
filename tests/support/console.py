"""What tests of the console share: a service whose overview is always fresh, and what was given up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

if TYPE_CHECKING:
    import pytest

    from tests.support.service import Person, Service

#: What an error may quote. No answer may hold it.
QUOTED = "Tolong, saya takut pulang"

_FAIL = """
UPDATE automations SET status = 'failed', attempts = 8, executed_at = now(), reason = $3
 WHERE session_id = $1 AND kind = $2
"""
_FAIL_REMINDERS = """
UPDATE reminders SET status = 'failed', attempts = 8, executed_at = now(), reason = $2
 WHERE counseling_id = $1
"""
_DEAD_WEBHOOK = """
INSERT INTO webhook_deliveries (id, endpoint, type, body, created_at, due_at, status, attempts, last_error)
VALUES ($1, 'https://hooks.example/in?key=secret', 'session_completed', '', now(), now(), 'dead', 12, $2)
"""


def keep_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every part of an overview read again at each look; one that is being read is waited for."""
    monkeypatch.setattr("rdchat.common.kept._TIMES_KEPT", 0)
    monkeypatch.setattr("rdchat.operations.store_status.KEPT_SECONDS", 0.0)


async def fail_automation(service: Service, session_id: str, kind: str) -> None:
    await service.runtime.pool.execute(_FAIL, UUID(session_id), kind, f"ValueError: {QUOTED}")


async def fail_reminders(service: Service, counseling_id: str) -> None:
    await service.runtime.pool.execute(_FAIL_REMINDERS, UUID(counseling_id), f"KeyError: {QUOTED}")


async def dead_webhook(service: Service) -> str:
    delivery_id = uuid4()
    await service.runtime.pool.execute(_DEAD_WEBHOOK, delivery_id, f"SendError: {QUOTED}")
    return str(delivery_id)


async def pages(person: Person, path: str, limit: int) -> list[dict[str, Any]]:
    """Read a whole list, page by page."""
    found: list[dict[str, Any]] = []
    cursor: dict[str, Any] = {}
    while cursor.get("cursor", "") is not None:
        data = (await person.get(path, limit=limit, **cursor)).data
        assert len(data["data"]) <= limit
        found += data["data"]
        cursor = {"cursor": data["nextCursor"]}
    return found
