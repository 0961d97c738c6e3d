"""One batch: the commands of many actors, stepped together and committed in one statement.

Longer than other modules: it is one story in four chapters - knowing, deciding, committing, answering - and
what can go wrong in one is mended in another.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import structlog

from rdchat.common.errors import UnavailableError
from rdchat.common.ids import new_id
from rdchat.engine.change import ChangeBuilder
from rdchat.engine.result import CommandResult
from rdchat.engine.storage import CommitRefusedError
from statemachine import (
    Cancel,
    EndReason,
    Refusal,
    RefusalCode,
    RunAutomation,
    SendMessage,
    SessionOutcome,
    step,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from uuid import UUID

    from rdchat.common.clock import Clock
    from rdchat.domain.message import Message
    from rdchat.engine.actor import Actor, PendingCommand
    from rdchat.engine.change import Change
    from rdchat.engine.storage import CommitResult, Storage
    from statemachine import AutomationKind, Session

log = structlog.get_logger(__name__)

_SLICE: Final = 8
#: How many messages of others may come between, through another replica, before talk has to be decided again.
SLACK: Final = 7


@dataclass(slots=True)
class _Work:
    """What one actor brings to the batch, and what came of it.

    `fresh`: the session was read from PostgreSQL in this batch, so that its refusals can be trusted.
    `stored`: messages that are stored already, as it seems. `repeats`: those that come twice in this batch.
    """

    actor: Actor
    commands: list[PendingCommand]
    fresh: bool = False
    builder: ChangeBuilder | None = None
    answers: list[tuple[PendingCommand, CommandResult | Refusal]] = field(default_factory=list)
    stored: list[PendingCommand] = field(default_factory=list)
    repeats: list[tuple[PendingCommand, PendingCommand]] = field(default_factory=list)

    @property
    def change(self) -> Change | None:
        return None if self.builder is None or self.builder.is_empty else self.builder.change

    def renumber(self) -> None:
        """Let the answers speak of the messages as they were committed."""
        change = self.change
        if change is None:  # pragma: no cover - only deciding works are renumbered
            return
        stored = {message.id: message for message in change.messages}
        for place, (pending, answer) in enumerate(self.answers):
            if isinstance(answer, CommandResult) and answer.message is not None and not answer.repeated:
                self.answers[place] = pending, CommandResult(change.after, stored[answer.message.id])

    @property
    def refuses(self) -> bool:
        return any(isinstance(answer, Refusal) for _, answer in self.answers)

    @property
    def cancels_over_limit(self) -> bool:
        """Whether the session is given up for those of others, which no fence of this session's knows of."""
        return self.change is not None and self.change.after.end_reason is EndReason.OVER_LIMIT


class Batch:
    """Runs once.

    `committed` lists the changes that are in PostgreSQL, `uncertain` those that may be; `again` what has to
    be retried; `fenced` counts the changes that were decided on an older version than PostgreSQL's.
    """

    def __init__(self, storage: Storage, clock: Clock) -> None:
        self._storage = storage
        self._clock = clock
        self.committed: list[Change] = []
        self.uncertain: list[Change] = []
        self.again: list[tuple[Actor, PendingCommand]] = []
        self.fenced = 0

    async def run(self, commands: dict[Actor, list[PendingCommand]]) -> list[tuple[Actor, PendingCommand]]:
        """Answer the commands that can be answered; returns the others, to be retried."""
        works = [_Work(actor, own) for actor, own in commands.items()]
        try:
            await self._hydrate(works)
            await self._settle_uncertain(works)
            await self._step_all(works)
            await self._trust_no_stale_refusal(works)
        except UnavailableError:
            # Nothing was written, but those who were uncertain still are; all wait for PostgreSQL.
            self._retry(works, away=True)
            return self.again
        deciding = [work for work in works if work.change is not None]
        for work in works:
            if work.change is None:
                await self._answer(work)
        if deciding:
            await self._commit(deciding)
        # Together: when a net comes back, many repeat what they had sent.
        await asyncio.gather(*(self._answer_repetitions(work) for work in works if work.stored))
        return self.again

    # ---- knowing the session ------------------------------------------------------------------------------

    async def _hydrate(self, works: list[_Work]) -> None:
        missing = [work for work in works if work.actor.session is None]
        if not missing:
            return
        # A snapshot that lost a race would lose the next one as well.
        stale = [work for work in missing if work.actor.stale]
        if stale:
            await self._reload(stale)
        unknown = [work for work in missing if not work.fresh]
        if unknown:
            found, fresh = await self._storage.hydrate([work.actor.session_id for work in unknown])
            for work in unknown:
                work.actor.session = found.get(work.actor.session_id)
                work.fresh = work.actor.session is None or work.actor.session_id in fresh

    async def _reload(self, works: list[_Work]) -> None:
        found = await self._storage.read([work.actor.session_id for work in works])
        for work in works:
            work.actor.session = found.get(work.actor.session_id)
            work.actor.stale = False
            work.fresh = True

    async def _settle_uncertain(self, works: list[_Work]) -> None:
        """Answer the commands whose lost commit had happened, instead of doing them twice."""
        doubtful = [work for work in works if any(pending.uncertain for pending in work.commands)]
        if not doubtful:
            return
        await self._reload(doubtful)
        ids = [pending.command_id for work in doubtful for pending in work.commands if pending.uncertain]
        committed = await self._storage.find_committed([work.actor.session_id for work in doubtful], ids)
        for work in doubtful:
            session = work.actor.session
            for pending in [one for one in work.commands if one.command_id in committed]:
                message = None
                if isinstance(pending.command, SendMessage):
                    message = await self._storage.message_by_id(work.actor.session_id, pending.command_id)
                if session is not None:
                    pending.reply(CommandResult(session, message))
                work.commands.remove(pending)

    # ---- deciding -----------------------------------------------------------------------------------------

    async def _step_all(self, works: list[_Work]) -> None:
        for number, work in enumerate(works, 1):
            if number % _SLICE == 0:
                # Hundreds of sessions take tens of milliseconds: others get their turn in between.
                await asyncio.sleep(0)
            try:
                self._step(work, self._clock.now())
            except Exception as error:
                # One session that cannot be decided on must not take its neighbours with it.
                log.exception("a session cannot be stepped", session=str(work.actor.session_id))
                work.actor.session, work.builder = None, None
                work.answers.clear()
                for pending in work.commands:
                    pending.fail(error)

    def _step(self, work: _Work, now: datetime) -> None:
        session = work.actor.session
        work.answers.clear()
        work.stored.clear()
        work.repeats.clear()
        if session is None:
            refusal = Refusal(RefusalCode.SESSION_NOT_FOUND, None)
            work.answers = [(pending, refusal) for pending in work.commands]
            return
        work.builder = ChangeBuilder(session, self._storage.automated_text)
        work.builder.change.again = any(pending.uncertain for pending in work.commands)
        work.builder.change.slack = SLACK if work.actor.is_shared else 0
        named: dict[tuple[UUID, str], PendingCommand] = {}
        for pending in work.commands:
            key = pending.client_key
            if pending.first is not None:
                work.answers.append((pending, CommandResult(session, pending.first, repeated=True)))
            elif key is not None and work.actor.remembers(key):
                work.stored.append(pending)
            elif key is not None and key in named:
                work.repeats.append((pending, named[key]))
            else:
                session, answer = _decide(work.builder, session, pending, now)
                work.answers.append((pending, answer))
                if key is not None and isinstance(answer, CommandResult):
                    named[key] = pending

    async def _trust_no_stale_refusal(self, works: list[_Work]) -> None:
        doubtful = [work for work in works if (work.refuses or work.cancels_over_limit) and not work.fresh]
        if doubtful:
            await self._reload(doubtful)
            await self._step_all(doubtful)

    # ---- committing ---------------------------------------------------------------------------------------

    async def _commit(self, works: list[_Work]) -> None:
        changes = [work.change for work in works if work.change is not None]
        try:
            won = await self._storage.commit(changes)
        except UnavailableError as error:
            log.warning("a commit has an unknown outcome", sessions=len(changes), what=error.what)
            self.uncertain += changes
            self._retry(works, uncertain=True)
        except CommitRefusedError as error:
            await self._commit_singly(works, error)
        else:
            for work in works:
                result = won.get(work.actor.session_id)
                if result is not None:
                    await self._confirm(work, result)
                else:
                    self.fenced += 1
                    # Each further place that a message may get costs a code for it, so that those who talk
                    # through one replica do not pay for what may be said through another.
                    work.actor.is_shared = True
                    self._retry([work])

    async def _commit_singly(self, works: list[_Work], error: CommitRefusedError) -> None:
        """Find the one bad decision, so that it does not sink its neighbours."""
        if len(works) > 1:
            for work in works:
                await self._commit([work])
            return
        work = works[0]
        keys = [key for pending in work.commands if (key := pending.client_key) is not None]
        if error.repeats and keys:
            try:
                found = await self._storage.messages_by_client_id(work.actor.session_id, keys)
            except UnavailableError:
                found = {}
            for pending in work.commands:
                if (key := pending.client_key) is not None:
                    pending.first = found.get(key)
            self._retry([work])
            return
        log.error("a commit was refused", session=str(work.actor.session_id), error=str(error))
        work.actor.session = None
        for pending in work.commands:
            pending.fail(error.failure or error)

    async def _confirm(self, work: _Work, result: CommitResult) -> None:
        change = work.change
        if change is None:  # pragma: no cover - only deciding works are confirmed
            return
        if (result.version, result.last_seq) == (change.before.version + 1, change.after.last_seq):
            change.after.version = result.version
        else:
            # Others have talked meanwhile, through another replica.
            change.renumber(result.version, result.last_seq)
            work.renumber()
        if result.outcome is not None:
            change.after.outcome = SessionOutcome(result.outcome)
        if not change.only_talks:
            change.after.state_version = result.version
        work.actor.session = change.after
        for message in change.messages:
            if message.client_message_id is not None:
                work.actor.remember((message.sender_id, message.client_message_id))
        self.committed.append(change)
        await self._answer(work)

    async def _answer(self, work: _Work) -> None:
        for place, (pending, answer) in enumerate(work.answers):
            result = answer
            if isinstance(answer, Refusal) and (key := pending.client_key) is not None:
                # Its sender repeats a message that was stored before the chat closed: that is no refusal.
                known = await self._known(work, key)
                if known is not None and work.actor.session is not None:
                    result = CommandResult(work.actor.session, known, repeated=True)
                    work.answers[place] = pending, result
            pending.reply(result)
        if not work.repeats:
            return
        answered = dict(work.answers)
        for pending, original in work.repeats:
            result = answered[original]
            if isinstance(result, CommandResult):
                result = CommandResult(result.session, result.message, repeated=True)
            pending.reply(result)

    async def _answer_repetitions(self, work: _Work) -> None:
        """Give those who repeat a message the one that is stored."""
        named = [(pending, key) for pending in work.stored if (key := pending.client_key) is not None]
        keys = [key for _, key in named]
        try:
            found = await self._storage.messages_by_client_id(work.actor.session_id, keys)
        except UnavailableError:
            found = None
        for pending, key in named:
            if found is not None and work.actor.session is not None and key in found:
                pending.reply(CommandResult(work.actor.session, found[key], repeated=True))
                continue
            pending.away = found is None
            self.again.append((work.actor, pending))
        if found is not None and len(found) < len(set(keys)):
            # Two names of one hash: the next commit tells them apart.
            work.actor.forget()

    async def _known(self, work: _Work, key: tuple[UUID, str]) -> Message | None:
        try:
            found = await self._storage.messages_by_client_id(work.actor.session_id, [key])
        except UnavailableError:
            return None
        return found.get(key)

    def _retry(self, works: Iterable[_Work], *, uncertain: bool = False, away: bool = False) -> None:
        for work in works:
            work.actor.session, work.actor.stale = None, True
            work.actor.forget()
            work.stored.clear()
            for pending in work.commands:
                pending.uncertain = pending.uncertain or uncertain
                pending.away = uncertain or away
                self.again.append((work.actor, pending))


def _decide(
    builder: ChangeBuilder, session: Session, pending: PendingCommand, now: datetime
) -> tuple[Session, CommandResult | Refusal]:
    if isinstance(pending.command, RunAutomation):
        session = _run_due(builder, session, now, pending.command_id, before=pending.command.kind)
    decision = step(session, pending.command, now)
    if isinstance(decision, Refusal):
        if decision.code is RefusalCode.SESSION_ENDED and session.is_open:
            # By the clock alone, which binds no one: an earlier attempt at this message, decided before
            # the end, may have yet to commit elsewhere. The end itself settles that, by its fence.
            session = _run_due(builder, session, now, new_id())
            decision = Refusal(decision.code, session.status)
        return session, decision
    message = builder.add(decision, command_id=pending.command_id, actor_id=pending.actor_id)
    if isinstance(pending.command, Cancel):
        builder.change.cancel_reason = pending.command.reason
    return decision.session, CommandResult(decision.session, message)


def _run_due(
    builder: ChangeBuilder,
    session: Session,
    now: datetime,
    command_id: UUID,
    *,
    before: AutomationKind | None = None,
) -> Session:
    """Run what has fallen due and was not run yet, in its order, up to the automation that comes after."""
    for automation in session.due(now):
        if automation.kind is before:
            break
        decision = step(session, RunAutomation(automation.kind, session.schedule_version), now)
        if not isinstance(decision, Refusal):
            builder.add(decision, command_id=command_id, actor_id=None)
            session = decision.session
    return session
