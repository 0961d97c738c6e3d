"""The states of a chat session, and why it ended."""

from enum import StrEnum
from typing import Final


class Status(StrEnum):
    """The state of a session. Clients and the database see these values."""

    PENDING = "pending"
    ACTIVE = "active"
    ENDING_SOON = "ending_soon"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


#: Messages are accepted.
OPEN: Final = frozenset({Status.ACTIVE, Status.ENDING_SOON})

#: No transition leads out of these.
TERMINAL: Final = frozenset({Status.COMPLETED, Status.CANCELLED})


class EndReason(StrEnum):
    """Why a session is over: a fact beside the state, not a state of its own."""

    ENDED_BY_CLIENT = "ended_by_client"
    ENDED_BY_PSYCHOLOGIST = "ended_by_psychologist"
    AUTO_ENDED = "auto_ended"
    CLIENT_CANCELLED = "client_cancelled"
    PSYCHOLOGIST_CANCELLED = "psychologist_cancelled"
    ADMIN_CANCELLED = "admin_cancelled"
    MISSED = "missed"
    OVER_LIMIT = "over_limit"


#: A person called the session off, not the service.
CALLED_OFF: Final = frozenset(
    {EndReason.CLIENT_CANCELLED, EndReason.PSYCHOLOGIST_CANCELLED, EndReason.ADMIN_CANCELLED}
)


class SessionOutcome(StrEnum):
    """Who attended a completed session: those who sent a message, or connected to listen."""

    HELD = "held"
    CLIENT_ABSENT = "client_absent"
    PSYCHOLOGIST_ABSENT = "psychologist_absent"
    NOBODY_CAME = "nobody_came"
