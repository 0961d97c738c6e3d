"""What a command's sender gets back from the engine: an outcome, or the refusal of the state machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from statemachine.values import value

if TYPE_CHECKING:
    from rdchat.domain.message import Message
    from statemachine import Session


@value
class CommandResult:
    """The command is committed. `session` is the session after it.

    `message` is the stored message of a `SendMessage`; `repeated` says that it had been stored before, under
    the same sender and clientMessageId.
    """

    session: Session
    message: Message | None = None
    repeated: bool = False
