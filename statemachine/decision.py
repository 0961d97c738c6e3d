"""The result of a step: a decision, or a refusal. Both are values; nothing here is an exception."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from statemachine.values import value

if TYPE_CHECKING:
    from datetime import datetime

    from statemachine.effects import Effect
    from statemachine.session import Session
    from statemachine.states import Status


class RefusalCode(StrEnum):
    """Why a command changes nothing. The first six are codes of the HTTP contract as well."""

    CHAT_NOT_ENABLED = "CHAT_NOT_ENABLED"
    SESSION_ENDED = "SESSION_ENDED"
    NOT_PARTICIPANT = "NOT_PARTICIPANT"
    ILLEGAL_TRANSITION = "ILLEGAL_TRANSITION"
    SESSION_NOT_FOUND = "SESSION_NOT_FOUND"
    FORBIDDEN = "FORBIDDEN"
    NOT_DUE = "NOT_DUE"
    SETTLED = "SETTLED"


@value
class Refusal:
    """The command was not carried out.

    `status` is the state the session is in; None when there is no session, or the caller may not know of it.
    """

    code: RefusalCode
    status: Status | None


@value
class Decision:
    """What a command does: the session after it, and the effects, in order.

    `trigger` and `source` name the row of the table; the destination is `session.status`.
    """

    session: Session
    trigger: str
    source: Status
    at: datetime
    effects: tuple[Effect, ...]

    @property
    def changes_state(self) -> bool:
        """Whether the session's state has changed."""
        return self.source is not self.session.status
