"""The record of one session that went well, and of one that was missed, for doctoring."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from config import automated_text
from statemachine import AutomationKind, AutomationStatus, EndReason, Status
from tests.chaos.storm.record import Delivery, Life, Record, Said, Settled

if TYPE_CHECKING:
    from collections.abc import Mapping

ID: Final = UUID("00000000-0000-4000-8000-0000000000a1")
CHANNEL: Final = f"chat:session:{ID}"
_CLIENT = UUID("00000000-0000-4000-8000-0000000000b2")
_PSYCHOLOGIST = UUID("00000000-0000-4000-8000-0000000000c3")
_STARTS: Final = datetime(2030, 1, 1, 12, tzinfo=UTC)
_ENDS: Final = _STARTS + timedelta(seconds=20)
_DUE: Final = {
    AutomationKind.INITIAL_MESSAGE: _STARTS - timedelta(seconds=5),
    AutomationKind.ENABLE_CHAT: _STARTS,
    AutomationKind.END_WARNING: _ENDS - timedelta(seconds=5),
    AutomationKind.AUTO_END: _ENDS,
}
_LATE: Final = timedelta(milliseconds=3)
_SAYING: Final = [kind for kind in _DUE if kind is not AutomationKind.END_WARNING]


def good() -> Record:
    """Everything once, three milliseconds late."""
    said = [Said(f"m{seq}", seq, automated_text(kind, "id")) for seq, kind in enumerate(_SAYING, start=1)]
    told = [_message(0, said[0]), _message(1, said[1]), _status(2, "chat_enabled")]
    told += [_notification(3, _PSYCHOLOGIST, "chat_enabled"), _status(4, "ending_soon")]
    told += [_message(5, said[2]), _status(6, "completed"), _notification(7, _CLIENT, "chat_enabled")]
    told += [_notification(8, _CLIENT, "session_completed")]
    told += [_notification(9, _PSYCHOLOGIST, "session_completed")]
    life = Life(
        id=ID,
        client_id=_CLIENT,
        psychologist_id=_PSYCHOLOGIST,
        status=Status.COMPLETED,
        end_reason=EndReason.AUTO_ENDED,
        version=4,
        last_seq=3,
        language="id",
        starts_at=_STARTS,
        ends_at=_ENDS,
        automations={kind: settled(kind) for kind in _DUE},
        messages=said,
        triggers=list(enumerate(_DUE, start=1)),
    )
    heard = {ID: [one.ably_id for one in told if one.channel == CHANNEL]}
    return Record(_ENDS + timedelta(seconds=60), 1, [life], told, heard)


def missed() -> Record:
    """No replica could open it in time: found six seconds before its end, one after the warning was due."""
    skipped = {
        kind: Settled(kind, AutomationStatus.SKIPPED, "missed", _DUE[kind], None, None) for kind in _DUE
    }
    for kind, reason in (
        (AutomationKind.INITIAL_MESSAGE, "start_was_due"),
        (AutomationKind.ENABLE_CHAT, "missed"),
    ):
        skipped[kind] = settled(
            kind, AutomationStatus.SKIPPED, reason, late=_DUE[AutomationKind.END_WARNING] + _LATE - _DUE[kind]
        )
    told = [_status(0, "cancelled")]
    told += [
        _notification(number, person, "session_missed")
        for number, person in ((1, _CLIENT), (2, _PSYCHOLOGIST))
    ]
    life = Life(
        id=ID,
        client_id=_CLIENT,
        psychologist_id=_PSYCHOLOGIST,
        status=Status.CANCELLED,
        end_reason=EndReason.MISSED,
        version=1,
        last_seq=0,
        language="id",
        starts_at=_STARTS,
        ends_at=_ENDS,
        automations=skipped,
        messages=[],
        triggers=[(1, "initial_message"), (1, "enable_chat")],
    )
    return Record(_ENDS + timedelta(seconds=60), 1, [life], told)


def settled(
    kind: AutomationKind,
    status: AutomationStatus = AutomationStatus.DONE,
    reason: str | None = None,
    *,
    late: timedelta = _LATE,
) -> Settled:
    """Make an automation that was run so late."""
    due_at = _DUE[kind]
    return Settled(kind, status, reason, due_at, due_at + late, late // timedelta(milliseconds=1))


def unsettled(kind: AutomationKind, status: AutomationStatus = AutomationStatus.SCHEDULED) -> Settled:
    """Make an automation that was never run."""
    return Settled(kind, status, None, _DUE[kind], None, None)


def _message(number: int, said: Said) -> Delivery:
    data = {"sessionId": str(ID), "id": said.id, "seq": said.seq, "content": said.text}
    return _delivery(CHANNEL, number, "message", data)


def _status(number: int, status: str) -> Delivery:
    return _delivery(CHANNEL, number, "session-status", {"sessionId": str(ID), "status": status})


def _notification(number: int, person: UUID, kind: str) -> Delivery:
    data = {"id": f"n{number}", "type": kind, "data": {"sessionId": str(ID)}}
    return _delivery(f"notifications:user:{person}", number, "notification", data)


def _delivery(channel: str, number: int, name: str, data: Mapping[str, Any]) -> Delivery:
    return Delivery(channel, f"{ID.hex}-{number}:0", name, data, 1_000)
