"""The engine: one pipeline for every command, from mailbox to commit to effects.

Commands wait in the mailbox of their session's actor. A *worker* takes the actors that have mail, hydrates
those that need it, steps all their commands, and commits everything in one statement; what arrives meanwhile
goes with the next. Nothing waits for a timer: an idle engine commits a lone command at once. (Longer than
other modules: queues, workers and retries move the same actors from stage to stage, and are read together.)

People go first. When thousands of sessions start at the same instant, their automations wait in a queue of
their own, are worked on in small batches, and one worker is closed to them: someone who writes a message
meanwhile waits for a few of them at most. The other workers take turns, so that people do not keep chats
from opening.

A refusal is never given from memory alone. What an actor remembers may be stale, because another replica has
gone on; a commit on it would lose to the fence, but a refusal has no fence, so it is asked again of
PostgreSQL before anybody hears it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from rdchat.common.background import cancel, keep_running
from rdchat.common.errors import UnavailableError
from rdchat.common.ids import new_id
from rdchat.engine.actor import Actor, PendingCommand, Stage
from rdchat.engine.batch import Batch
from rdchat.engine.prefetch import Prefetch
from statemachine import SendMessage

if TYPE_CHECKING:
    from collections.abc import Iterable
    from uuid import UUID

    from rdchat.common.clock import Clock
    from rdchat.engine.change import Change
    from rdchat.engine.result import CommandResult
    from rdchat.engine.storage import Storage
    from statemachine import Command, Refusal, Session

log = structlog.get_logger(__name__)

#: Workers that take automations as well, and workers that are for people alone. People's commands are in one
#: batch at a time, so that what comes meanwhile makes up the next: a commit costs nearly the same for one as
#: for ten. When one takes longer than that costs, because the store is slow or a row is locked, others help.
_WORKERS: Final = 3
_WORKERS_FOR_PEOPLE: Final = 1
_HANGS_SECONDS: Final = 0.05
#: So many ask the store at a time: the workers, and what reads in advance.
ASKING: Final = _WORKERS + _WORKERS_FOR_PEOPLE + 1
_BATCH_SESSIONS: Final = 512
#: The event loop is busy for about as many tenths of a millisecond while a batch is stepped.
_BATCH_AUTOMATIONS: Final = 128
#: Commands of one session that go into one commit; the others wait for the next.
_BATCH_COMMANDS: Final = 64
#: How long a command is tried again after lost races or while PostgreSQL is away.
_PATIENCE_SECONDS: Final = 5.0
#: How long a sender waits at most, with PostgreSQL hanging, and how often that is looked at.
_ANSWER_SECONDS: Final = 12.0
_LOOK_SECONDS: Final = 0.5
_BACKOFF_SECONDS: Final = 0.05
_LONGEST_BACKOFF_SECONDS: Final = 1.0


class Effects(Protocol):
    """What performs what a committed change asks for. Must not wait and must not raise."""

    def committed(self, changes: list[Change]) -> None:
        """Take over the changes of one commit, in the order in which sessions were committed."""
        ...

    def uncertain(self, changes: list[Change]) -> None:
        """Take over changes of which it is unknown whether they are, or will be, committed."""
        ...

    def fenced(self, sessions: int) -> None:
        """Note how many changes lost to the version fence."""
        ...


class Engine:
    """Runs the commands of all sessions that are live in this process."""

    def __init__(self, storage: Storage, effects: Effects, clock: Clock) -> None:
        self._storage = storage
        self._effects = effects
        self._clock = clock
        self._actors: dict[UUID, Actor] = {}
        self._people: deque[Actor] = deque()
        self._automations: deque[Actor] = deque()
        self._mail = asyncio.Event()
        self._prefetch = Prefetch(storage, self._actors)
        self._workers: list[asyncio.Task[None]] = []
        self._paused: dict[PendingCommand, asyncio.TimerHandle] = {}
        self._people_under_way: set[Batch] = set()
        #: People's commands that have no answer yet, the oldest first: a dict for its order.
        self._unanswered: dict[PendingCommand, None] = {}
        self._closing = False

    # ---- for the rest of the program ----------------------------------------------------------------------

    def start(self) -> None:
        """Begin to work."""
        for number in range(_WORKERS + _WORKERS_FOR_PEOPLE):
            worker = self._worker(for_people=number >= _WORKERS)
            self._workers.append(asyncio.create_task(worker, name=f"engine worker {number}"))
        self._hydration = keep_running(self._prefetch.run, "hydration")
        self._patience = keep_running(self._mind_the_waiting, "patience")

    async def close(self) -> None:
        """Finish what is under way and stop; whatever comes later is UnavailableError."""
        self._closing = True
        self._mail.set()
        await asyncio.gather(*self._workers)
        await cancel(self._hydration)
        await cancel(self._patience)
        for pending, handle in self._paused.items():
            handle.cancel()
            pending.fail(UnavailableError("engine"))

    async def submit(
        self, session_id: UUID, command: Command, *, actor_id: UUID | None = None, again: bool = False
    ) -> CommandResult | Refusal:
        """Put a command to a session and wait for the commit.

        `again`: it may have been put before, with the same id; then what it did is looked for first.
        Raise UnavailableError when the outcome could not be established in a few seconds. The command may
        have happened then or not; repeating it is safe (messages: with a clientMessageId).
        """
        pending = self._post(session_id, command, actor_id)
        pending.uncertain = again
        self._unanswered[pending] = None
        try:
            return await pending.answer
        finally:
            # Nothing of it is kept: what outlives its request, the garbage collector has to look at.
            del self._unanswered[pending]

    def post(self, session_id: UUID, command: Command) -> asyncio.Future[CommandResult | Refusal]:
        """Put a timer's command to a session without waiting; the future is answered at last."""
        return self._post(session_id, command, None).answer

    def _post(self, session_id: UUID, command: Command, actor_id: UUID | None) -> PendingCommand:
        loop = asyncio.get_running_loop()
        command_id = command.message_id if isinstance(command, SendMessage) else new_id()
        pending = PendingCommand(command, command_id, actor_id, loop.create_future(), loop.time())
        if self._closing:
            pending.fail(UnavailableError("engine"))
            return pending
        actor = self._actors.get(session_id)
        if actor is None:
            actor = self._actors[session_id] = Actor(session_id)
        actor.put(pending)
        actor.used_at = pending.posted_at
        self._make_ready(actor, pending)
        return pending

    def prefetch(self, session_ids: Iterable[UUID]) -> None:
        """Have sessions read in the background that will soon get a command. A hint, and no more."""
        self._prefetch.prefetch(session_ids)

    def get_remembered(self, session_id: UUID) -> Session | None:
        """Return a session as this process knows it, which another may have changed since; None: not at all.

        Only for what is held against the version in the database before it has an effect.
        """
        actor = self._actors.get(session_id)
        return None if actor is None or actor.stale else actor.session

    @property
    def live_actors(self) -> int:
        """How many sessions this process has in memory."""
        return len(self._actors)

    @property
    def waiting(self) -> int:
        """How many people's commands wait for their answer."""
        return len(self._unanswered)

    def passivate(self, *, idle_seconds: float) -> int:
        """Forget the actors that no one has used for a while. Return how many."""
        oldest = asyncio.get_running_loop().time() - idle_seconds
        idle = [
            actor
            for actor in self._actors.values()
            if actor.stage is Stage.IDLE and not actor.mailbox and actor.used_at <= oldest
        ]
        for actor in idle:
            del self._actors[actor.session_id]
        return len(idle)

    # ---- workers ------------------------------------------------------------------------------------------

    def _make_ready(self, actor: Actor, pending: PendingCommand) -> None:
        """Queue an actor that has got a command. A person's command takes the timers' along to the front."""
        if actor.stage is Stage.RUNNING:
            return
        if pending.is_from_timer:
            if actor.stage is Stage.QUEUED:
                return
            self._automations.append(actor)
        else:
            # It may stand in both queues then; the second finds it taken.
            self._people.append(actor)
        actor.stage = Stage.QUEUED
        if pending.is_from_timer or self._may_take_people():
            self._mail.set()

    async def _worker(self, *, for_people: bool) -> None:
        automations_next = False
        while True:
            actors: list[Actor] = []
            if automations_next:
                # Also when people never stop: a chat that does not open is a harm as well.
                actors = _take_queued(self._automations, _BATCH_AUTOMATIONS)
                automations_next = False
            if not actors and self._may_take_people():
                actors = _take_queued(self._people, _BATCH_SESSIONS)
                if actors:
                    automations_next = not for_people
                    await self._run_people(actors)
                    continue
            if not actors and not for_people:
                actors = _take_queued(self._automations, _BATCH_AUTOMATIONS)
            if actors:
                await self._run(actors, Batch(self._storage, self._clock))
            elif self._closing:
                return
            else:
                self._mail.clear()
                await self._mail.wait()

    def _may_take_people(self) -> bool:
        return not self._people_under_way

    async def _run_people(self, actors: list[Actor]) -> None:
        batch = Batch(self._storage, self._clock)
        self._people_under_way.add(batch)
        # The timer alone says that a batch hangs. Were the clock asked beside it, a timer that fires a little
        # early would wake a worker that finds nothing to do, and the others would wait for the next command.
        hangs = asyncio.get_running_loop().call_later(_HANGS_SECONDS, self._let_others_help, batch)
        try:
            await self._run(actors, batch)
        finally:
            hangs.cancel()
            self._let_others_help(batch)

    def _let_others_help(self, batch: Batch) -> None:
        self._people_under_way.discard(batch)
        if self._people:
            self._mail.set()

    async def _run(self, actors: list[Actor], batch: Batch) -> None:
        """Work on one batch. Whatever happens, every command is answered or back in its mailbox."""
        try:
            commands = {actor: actor.take(_BATCH_COMMANDS) for actor in actors}
            again = await batch.run(commands)
            if batch.uncertain:
                self._effects.uncertain(batch.uncertain)
            if batch.committed:
                self._effects.committed(batch.committed)
            if batch.fenced:
                self._effects.fenced(batch.fenced)
            self._retry(again)
        except Exception as error:
            # A worker outlives any error, and no sender is left waiting.
            log.exception("a batch failed", sessions=len(actors))
            for actor in actors:
                actor.session = None
                for pending in commands[actor]:
                    pending.fail(error)
        finally:
            for actor in actors:
                actor.stage = Stage.IDLE
                for pending in actor.mailbox or ():
                    self._make_ready(actor, pending)
                if actor.session is None and actor.stage is Stage.IDLE:
                    # Nothing is known of it, perhaps because there is no such session.
                    self._actors.pop(actor.session_id, None)

    async def _mind_the_waiting(self) -> None:
        """Tell those who have waited too long. One look at all is cheaper than a timer for each."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            oldest = loop.time() - _ANSWER_SECONDS
            for pending in self._unanswered:
                if pending.posted_at >= oldest:
                    break
                pending.fail(UnavailableError("PostgreSQL"))

    def _retry(self, again: Iterable[tuple[Actor, PendingCommand]]) -> None:
        """Put commands back: at once after a lost race, after a pause while PostgreSQL is away."""
        now = asyncio.get_running_loop().time()
        for actor, pending in again:
            pending.attempts += 1
            if self._closing or now - pending.posted_at > _PATIENCE_SECONDS:
                pending.fail(UnavailableError("PostgreSQL"))
            elif pending.away:
                pause = min(_BACKOFF_SECONDS * 2**pending.attempts, _LONGEST_BACKOFF_SECONDS)
                self._later(pause, actor, pending)
            else:
                actor.put(pending)

    def _later(self, seconds: float, actor: Actor, pending: PendingCommand) -> None:
        def put_back() -> None:
            del self._paused[pending]
            # The actor may have been forgotten meanwhile; the command goes to its successor.
            present = self._actors.setdefault(actor.session_id, actor)
            present.put(pending)
            self._make_ready(present, pending)

        self._paused[pending] = asyncio.get_running_loop().call_later(seconds, put_back)


def _take_queued(queue: deque[Actor], limit: int) -> list[Actor]:
    """Take actors out of a queue, except those that left by the other one."""
    taken: list[Actor] = []
    while queue and len(taken) < limit:
        actor = queue.popleft()
        if actor.stage is Stage.QUEUED:
            actor.stage = Stage.RUNNING
            taken.append(actor)
    return taken
