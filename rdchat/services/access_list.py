"""People who may not call as their tokens say: known to every replica, so that asking costs a look-up.

PostgreSQL has the rows; each replica reads what is new several times a second. That alone holds the promise
of a second, so nothing is announced through Redis. While PostgreSQL is away, what is known stays true.

Data keys that were destroyed are counted as changes as well: by the same look, each replica drops them.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import structlog

from rdchat.common.background import cancel, keep_running
from rdchat.common.errors import RdchatError, UnavailableError
from rdchat.events.outbox_entry import cut_entry
from rdchat.postgres import access_rules, outbox
from rdchat.postgres.key_destruction import list_destroyed_since
from rdchat.postgres.pool import transaction
from rdchat.realtime.publisher import LEASE

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from uuid import UUID

    from rdchat.common.clock import Clock
    from rdchat.domain.access_rule import AccessRule
    from rdchat.domain.person import Caller
    from rdchat.engine.post_commit import EntryPublisher
    from rdchat.postgres.data_keys import DataKeys
    from rdchat.postgres.pool import Pool

log = structlog.get_logger(__name__)

_EVERY_SECONDS: Final = 0.4
#: What people listen by is revoked again: so long after the first time, since a replica that did not know
#: may have given them a token; so long after that, since Ably takes a TokenRequest for a quarter of an hour.
_CUT_AGAIN: Final = (timedelta(seconds=2), timedelta(minutes=15))
_CUTS_AT_ONCE: Final = 100


class AccessList:
    """The rules of all to whom one applies. `oldest`: how long ago a valid token can have been issued."""

    def __init__(
        self, pool: Pool, publisher: EntryPublisher, keys: DataKeys, clock: Clock, *, oldest: timedelta
    ) -> None:
        self._pool = pool
        self._publisher = publisher
        self._keys = keys
        self._clock = clock
        self._oldest = oldest
        self._rules: dict[UUID, AccessRule] = {}
        self._task: asyncio.Task[None] | None = None
        self._refreshing = asyncio.Lock()
        #: Are told whose data keys were destroyed.
        self.on_destroyed: list[Callable[[Collection[UUID]], None]] = [keys.forget_all]
        #: The number of the last change that is known.
        self.change = access_rules.NOTHING_SEEN

    async def start(self) -> None:
        """Read the rules, and begin to follow them. Raise UnavailableError."""
        await self.refresh()
        self._task = keep_running(self._run, "access list")

    async def close(self) -> None:
        """Stop following."""
        await cancel(self._task)

    def check(self, caller: Caller) -> None:
        """Raise RdchatError (FORBIDDEN, UNAUTHENTICATED) for one who may not call as their token says."""
        rule = self._rules.get(caller.id)
        if rule is not None:
            rule.check(caller)

    def is_active(self, person_id: UUID) -> bool:
        """Whether a person is not deactivated: for what they open by a link, without a token."""
        rule = self._rules.get(person_id)
        return rule is None or rule.is_active

    async def refresh(self) -> None:
        """Read what is new, and see to what is to be cut at Ably. Raise UnavailableError."""
        async with self._refreshing:
            await self._refresh()

    async def _refresh(self) -> None:
        number, rules, has_cuts = await access_rules.list_since(self._pool, self.change, oldest=self._oldest)
        if number < self.change:
            # Another server, which has not got all that the former one had: begin from the start.
            log.warning("changes of access were lost with a server; all of them are read again")
            number, rules, has_cuts = await access_rules.list_since(
                self._pool, access_rules.NOTHING_SEEN, oldest=self._oldest
            )
            await self._follow_destructions(access_rules.NOTHING_SEEN, number)
            self._rules.clear()
        elif number > self.change > access_rules.NOTHING_SEEN:
            await self._follow_destructions(self.change, number)
        self._rules.update((rule.person_id, rule) for rule in rules)
        self.change = number
        if has_cuts:
            try:
                await self._cut()
            except RdchatError:
                # They are still to be cut: it is tried again with the next look.
                log.warning("what people listen by cannot be revoked yet", exc_info=True)

    async def _follow_destructions(self, since: int, until: int) -> None:
        owners = await list_destroyed_since(self._pool, since, until)
        if owners:
            for tell in self.on_destroyed:
                tell(owners)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_EVERY_SECONDS)
            try:
                await self.refresh()
            except UnavailableError:
                log.debug("the access list is read again later")

    async def _cut(self) -> None:
        """Put into the outbox that what people listen by is revoked, as far as no other replica does."""
        async with transaction(self._pool) as connection:
            people = await access_rules.take_cuts(connection, _CUTS_AT_ONCE, _CUT_AGAIN)
            now = self._clock.now()
            entries = [cut_entry(person_id, now) for person_id in people]
            await outbox.insert_entries(connection, entries, keys=self._keys, lease=LEASE)
        self._publisher.hand_over(entries)
