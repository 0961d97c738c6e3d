"""A session actor: the mailbox of one live session and what is known of it. The engine drives it."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Final

from statemachine import RunAutomation, SendMessage

if TYPE_CHECKING:
    import asyncio
    from uuid import UUID

    from rdchat.domain.message import Message
    from rdchat.engine.result import CommandResult
    from statemachine import Command, Refusal, Session

#: How many of the latest clientMessageIds an actor remembers; older ones are found in PostgreSQL.
_REMEMBERED: Final = 128


@dataclass(slots=True, eq=False)
class PendingCommand:
    """One command on its way through a mailbox, and the promise of an answer to its sender.

    `uncertain`: a commit with it was under way when the connection was lost, so it may have happened, or may
    still happen; from then on it is looked up before every new attempt.
    `away`: PostgreSQL could not be asked the last time, so it is given a moment.
    """

    command: Command
    command_id: UUID
    actor_id: UUID | None
    answer: asyncio.Future[CommandResult | Refusal]
    posted_at: float
    attempts: int = 0
    uncertain: bool = False
    away: bool = False

    def reply(self, result: CommandResult | Refusal) -> None:
        """Answer the sender, unless it has stopped waiting."""
        if not self.answer.done():
            self.answer.set_result(result)

    def fail(self, error: Exception) -> None:
        """Tell the sender that there will be no answer."""
        if not self.answer.done():
            self.answer.set_exception(error)

    @property
    def is_from_timer(self) -> bool:
        """Whether no person is waiting for the answer."""
        return isinstance(self.command, RunAutomation)

    @property
    def client_key(self) -> tuple[UUID, str] | None:
        """Identify a message that its sender has named, for recognising a repetition."""
        if isinstance(self.command, SendMessage) and self.command.client_message_id is not None:
            return self.command.sender_id, self.command.client_message_id
        return None


class Stage(Enum):
    """Where an actor is: without mail, in a queue of those that have mail, or in a batch."""

    IDLE = 0
    QUEUED = 1
    RUNNING = 2


@dataclass(slots=True, eq=False)
class Actor:
    """One live session.

    `session` is None until hydrated. `stale`: the last commit lost its race, so snapshots cannot be trusted
    either. `is_shared`: others have talked in it through another replica. One batch at a time has the actor,
    so that its commands are never worked on in two places.
    """

    session_id: UUID
    session: Session | None = None
    mailbox: deque[PendingCommand] = field(default_factory=deque)
    stage: Stage = Stage.IDLE
    stale: bool = False
    is_shared: bool = False
    used_at: float = 0.0
    said: OrderedDict[tuple[UUID, str], Message] = field(default_factory=OrderedDict)

    def remember(self, message: Message) -> None:
        """Keep a named message at hand for the case that its sender repeats it."""
        if message.client_message_id is None:
            return
        self.said[message.sender_id, message.client_message_id] = message
        if len(self.said) > _REMEMBERED:
            self.said.popitem(last=False)
