"""What the engine needs of the stores. `rdchat.postgres.storage` is the real one; tests bring a small one."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from rdchat.domain.message import Message
    from rdchat.engine.change import Change
    from statemachine import Session


class CommitRefusedError(Exception):
    """The database refused a commit as it stands; nothing of it is written.

    `repeats` is set when a message has the clientMessageId of an earlier one; `failure` is what its sender is
    to be told, if that is no fault of the program.
    """

    def __init__(self, reason: str, *, repeats: bool = False, failure: Exception | None = None) -> None:
        super().__init__(reason)
        self.repeats = repeats
        self.failure = failure


class CommitResult(NamedTuple):
    """What a commit has made of a session's numbers, and who was there if that completed it."""

    version: int
    last_seq: int
    outcome: str | None = None


class Storage(Protocol):
    """Reads raise UnavailableError while PostgreSQL is away."""

    async def hydrate(self, session_ids: Sequence[UUID]) -> tuple[dict[UUID, Session], set[UUID]]:
        """Read sessions from wherever it is quickest; the ids that came from PostgreSQL beside them."""
        ...

    async def read(self, session_ids: Sequence[UUID]) -> dict[UUID, Session]:
        """Read sessions from PostgreSQL."""
        ...

    async def commit(self, changes: Sequence[Change]) -> dict[UUID, CommitResult]:
        """Write changes; returns the sessions whose fence held, and their numbers.

        A change that only talks is written although others have talked meanwhile: its messages are then
        numbered otherwise than it says (see `Change.renumber`).

        Raise CommitRefusedError, or UnavailableError: then the outcome is unknown.
        """
        ...

    async def find_committed(self, session_ids: Sequence[UUID], command_ids: Sequence[UUID]) -> set[UUID]:
        """Say which commands were committed after all."""
        ...

    async def messages_by_client_id(
        self, session_id: UUID, named: Sequence[tuple[UUID, str]]
    ) -> dict[tuple[UUID, str], Message]:
        """Find messages by (sender, clientMessageId)."""
        ...

    async def message_by_id(self, session_id: UUID, message_id: UUID) -> Message | None:
        """Find one message by its id."""
        ...

    def automated_text(self, kind: str, session: Session) -> str:
        """Give what an automation says in a session. Raise KeyError when it says nothing."""
        ...
