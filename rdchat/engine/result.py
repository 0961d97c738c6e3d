"""What a command's sender gets back from the engine: an outcome, or the refusal of the state machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rdchat.domain.message import Message
    from statemachine import Session


@dataclass(frozen=True, slots=True)
class CommandResult:
    """The command is committed. `session` is the session after it.

    `message` is the stored message of a `SendMessage`; `repeated` says that it had been stored before, under
    the same sender and clientMessageId.
    """

    session: Session
    message: Message | None = None
    repeated: bool = False
