"""What was seen while the session was played: plain values, so that they can be checked and kept."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from rdchat.events import channels

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Heard:
    """One realtime event, at the instant at which the SDK called back with it."""

    name: str
    data: dict[str, Any]
    client_id: str | None
    at: datetime


@dataclass(slots=True)
class Witness:
    """One participant: what their SDK heard, who they saw present, what they typed and can read."""

    name: str
    person_id: str
    heard: list[Heard] = field(default_factory=list)
    present: list[str] = field(default_factory=list)
    typed: list[bool] = field(default_factory=list)
    history: list[dict[str, Any]] = field(default_factory=list)

    def messages(self) -> list[Heard]:
        """List the messages, in the order in which they arrived."""
        return [one for one in self.heard if one.name == channels.MESSAGE]

    def statuses(self) -> list[Heard]:
        """List the statuses of the session, in the order in which they arrived."""
        return [one for one in self.heard if one.name == channels.SESSION_STATUS]

    def status(self, status: str) -> Heard | None:
        """Return the first event of this status."""
        return next((one for one in self.statuses() if one.data["status"] == status), None)

    def notifications(self) -> list[str]:
        """List the types of the personal notifications that arrived."""
        return [str(one.data["type"]) for one in self.heard if one.name == channels.NOTIFICATION]


@dataclass(frozen=True, slots=True)
class Trial:
    """Something that was tried on purpose: the expected result, and the actual one."""

    what: str
    expected: str
    came: str


@dataclass(slots=True)
class Evidence:
    """All that was seen. Instants of automations are ISO, as the service shows them."""

    client: Witness
    psychologist: Witness
    script: list[tuple[str, str]] = field(default_factory=list)  # person id and text, in the order of sending
    planned: dict[str, str] = field(default_factory=dict)  # automation and instant, as booked
    trials: list[Trial] = field(default_factory=list)
    session: dict[str, Any] = field(default_factory=dict)
    timeline: list[dict[str, Any]] = field(default_factory=list)

    @property
    def witnesses(self) -> tuple[Witness, Witness]:
        """The client and the psychologist."""
        return self.client, self.psychologist

    def name_of(self, person_id: str | None) -> str:
        """Return the name of a participant, or the id of anyone else."""
        return next((one.name for one in self.witnesses if one.person_id == person_id), str(person_id))


def path(timeline: Iterable[dict[str, Any]], start: str) -> list[str]:
    """List the states that a session went through."""
    return [start, *(entry["to"] for entry in timeline if entry["from"] != entry["to"])]
