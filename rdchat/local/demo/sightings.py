"""When each automation was planned and done, and when each participant's SDK called back with its event."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import TYPE_CHECKING, Final

from statemachine import AutomationKind
from statemachine.effects import StatusEvent

if TYPE_CHECKING:
    from rdchat.local.demo.evidence import Evidence, Witness

_MILLISECOND: Final = timedelta(milliseconds=1)
_NEWS: Final = {
    AutomationKind.ENABLE_CHAT: StatusEvent.CHAT_ENABLED,
    AutomationKind.END_WARNING: StatusEvent.ENDING_SOON,
    AutomationKind.AUTO_END: StatusEvent.COMPLETED,
}


@dataclass(frozen=True, slots=True)
class Sighting:
    """One automation. `seen` has an instant for each participant by name, None where nothing came."""

    kind: str
    planned: datetime
    done: datetime | None
    lateness_ms: int | None
    seen: dict[str, datetime | None]

    def delay_ms(self, name: str) -> int | None:
        """From the planned instant to the callback: all that a person could have waited."""
        at = self.seen[name]
        return None if at is None else (at - self.planned) // _MILLISECOND


def sightings(evidence: Evidence) -> list[Sighting]:
    """List the automations, in the order in which they fall due."""
    return [
        Sighting(
            kind=one["kind"],
            planned=datetime.fromisoformat(one["dueAt"]),
            done=datetime.fromisoformat(one["executedAt"]) if one["executedAt"] else None,
            lateness_ms=one["latenessMs"],
            seen={witness.name: _seen(witness, one["kind"]) for witness in evidence.witnesses},
        )
        for one in evidence.session["automations"]
    ]


def _seen(witness: Witness, kind: str) -> datetime | None:
    if kind == AutomationKind.INITIAL_MESSAGE:
        heard = next((one for one in witness.messages() if one.data["isAutomated"]), None)
    else:
        heard = witness.status(_NEWS[AutomationKind(kind)])
    return heard.at if heard else None


def delivery_ms(witness: Witness, message_id: str) -> int | None:
    """From the instant a message carries to the callback with it."""
    for one in witness.messages():
        if one.data["id"] == message_id:
            return (one.at - datetime.fromisoformat(one.data["createdAt"])) // _MILLISECOND
    return None


def deliveries(evidence: Evidence) -> tuple[float, int] | None:
    """Return median and maximum of the deliveries to all, in milliseconds; None when nothing came."""
    found = [
        delay
        for witness in evidence.witnesses
        for message in evidence.client.history
        if (delay := delivery_ms(witness, message["id"])) is not None
    ]
    return (median(found), max(found)) if found else None
