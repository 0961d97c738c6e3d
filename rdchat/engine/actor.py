"""A session actor: the mailbox of one live session and what is known of it. The engine drives it."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from statemachine import RunAutomation, SendMessage

if TYPE_CHECKING:
    import asyncio
    from uuid import UUID

    from rdchat.domain.message import Message
    from rdchat.engine.result import CommandResult
    from statemachine import Command, Refusal, Session

#: How many of the latest clientMessageIds an actor knows at sight; older ones are found by their commit.
_REMEMBERED: Final = 64


@dataclass(slots=True, eq=False)
class PendingCommand:
    """One command on its way through a mailbox, and the promise of an answer to its sender.

    `uncertain`: a commit with it was under way when the connection was lost, so it may have happened, or may
    still happen; from then on it is looked up before every new attempt.
    `away`: PostgreSQL could not be asked the last time, so it is given a moment.
    `first`: the message that it repeats, once that was found.
    """

    command: Command
    command_id: UUID
    actor_id: UUID | None
    answer: asyncio.Future[CommandResult | Refusal]
    posted_at: float
    attempts: int = 0
    uncertain: bool = False
    away: bool = False
    first: Message | None = None

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

    `session` is None until hydrated, `mailbox` while there is no mail. `stale`: the last commit lost its
    race, so snapshots cannot be trusted either. `is_shared`: others have talked in it through another
    replica. `named`: the hashes of the latest names that senders have given their messages. One batch at a
    time has the actor, so that its commands are never worked on in two places.

    There are as many as there are live sessions, and most of them wait: so it holds nothing that takes room
    while it is empty, or that the garbage collector would have to look through.
    """

    session_id: UUID
    session: Session | None = None
    mailbox: list[PendingCommand] | None = None
    stage: Stage = Stage.IDLE
    stale: bool = False
    is_shared: bool = False
    used_at: float = 0.0
    named: array[int] | None = None

    def put(self, pending: PendingCommand) -> None:
        """Put a command into the mailbox, behind the others."""
        if self.mailbox is None:
            self.mailbox = []
        self.mailbox.append(pending)

    def take(self, most: int) -> list[PendingCommand]:
        """Take the first commands out of the mailbox, `most` of them at the most."""
        waiting = self.mailbox or []
        taken, self.mailbox = waiting[:most], waiting[most:] or None
        return taken

    def remember(self, key: tuple[UUID, str]) -> None:
        """Keep in mind that a message of this sender and name is stored."""
        if self.named is None:
            self.named = array("q")
        self.named.append(hash(key))
        if len(self.named) > _REMEMBERED:
            del self.named[0]

    def remembers(self, key: tuple[UUID, str]) -> bool:
        """Tell whether a message of this sender and name is stored; it has to be looked for to be sure."""
        return self.named is not None and hash(key) in self.named

    def forget(self) -> None:
        """Forget what is stored: it is found by the next commit."""
        self.named = None
