"""Access to what is published: tokens for Ably, for one session, or for a desk.

A desk is all that one person listens to at a time: their notifications, and their sessions that are open or
begin within an hour. One connection is enough for it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from rdchat.common.errors import ErrorCode, RdchatError
from rdchat.domain import permissions
from rdchat.domain.audit import AuditKind
from rdchat.events import channels
from rdchat.postgres import late_revocations, reads, sessions
from rdchat.postgres.data_keys import session_owner
from rdchat.postgres.pool import acquire
from rdchat.security.ably_tokens import ably_token

if TYPE_CHECKING:
    from datetime import datetime
    from uuid import UUID

    from rdchat.common.clock import Clock
    from rdchat.domain.person import Caller
    from rdchat.postgres.data_keys import DataKeys
    from rdchat.postgres.pool import Pool
    from rdchat.realtime.ably_client import AblyClient
    from rdchat.security.encryption import ChannelKeys, Encryptor
    from rdchat.services.audit import AuditTrail

#: Operations on a session's two channels, in this order.
_Rights = tuple[list[str], list[str]]

#: After the end, a token still serves to hear the last events and to read what was said.
_GRACE: Final = timedelta(minutes=5)
#: Ably exchanges a TokenRequest for a quarter of an hour at most; by its clock.
_REDEEMABLE: Final = timedelta(minutes=16)
#: A desk has the sessions that begin within this time: longer than any token lives.
_AHEAD: Final = timedelta(hours=1)
#: A token travels in the address of a connection. Sessions beyond this come when earlier ones are over.
_SESSIONS_OF_A_DESK: Final = 30


@dataclass(frozen=True, slots=True)
class RealtimeAccess:
    """What a person needs to listen. `token` is an Ably JWT, or a TokenRequest.

    `session_id` is the session that was asked for, None for a desk; `sessions` are those whose channels it
    opens, each with the keys of its channel, None where that is not encrypted.
    """

    token: str | dict[str, Any]
    expires_at: datetime
    client_id: UUID
    capability: dict[str, list[str]]
    session_id: UUID | None
    sessions: dict[UUID, ChannelKeys | None]
    client_options: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class RealtimeAccessService:
    """Lets people listen to what is theirs.

    `lifetime`: of a token at most. `is_sealed`: what is said is encrypted.
    """

    pool: Pool
    keys: DataKeys
    ably: AblyClient
    ably_key: str
    clock: Clock
    lifetime: timedelta
    audit: AuditTrail
    is_sealed: bool

    async def grant_session(
        self, caller: Caller, session_id: UUID, *, as_token_request: bool
    ) -> RealtimeAccess:
        """Let a participant listen to one session, also while it is pending, and take part while it is open.

        Only what this session needs: no wildcard, and only the server publishes on the chat channel.
        Raise RdchatError: SESSION_NOT_FOUND, NOT_PARTICIPANT, SESSION_ENDED, UNAVAILABLE.
        """
        # Before it is read how the session is: a token of before the end never says that it is of after it.
        now = self.clock.now()
        session = await sessions.get_session(self.pool, session_id)
        if session is None:
            raise RdchatError(ErrorCode.SESSION_NOT_FOUND)
        if not permissions.may_read_content(caller, session):
            raise RdchatError(ErrorCode.NOT_PARTICIPANT)
        last = (session.ended_at or session.ends_at) + _GRACE
        if last <= now:
            raise RdchatError(ErrorCode.SESSION_ENDED)
        async with acquire(self.pool) as connection:
            # What is published is heard at once, but not by one who was put into the row past the service.
            encryptor = await self.keys.get(connection, session_owner(session))
        until = min(now + self.lifetime, last)
        if not session.is_over:
            await reads.record_attendance(self.pool, [session.id], caller.id, until)
        return await self._grant(
            caller,
            {session.id: _rights(is_open=session.is_open, is_over=session.is_over)},
            {session.id: encryptor},
            now,
            until,
            session_id=session.id,
            revocation_key=channels.session_revocation_key(session.id),
            as_token_request=as_token_request,
        )

    async def grant_desk(self, caller: Caller, *, as_token_request: bool) -> RealtimeAccess:
        """Let the caller listen to their notifications, and to their sessions that are open or begin soon.

        The token is revoked when one of these ends. A TokenRequest cannot be: its token lives no longer than
        the first of them. Raise RdchatError (UNAVAILABLE).
        """
        now = self.clock.now()
        listed = await sessions.list_sessions_to_hear(
            self.pool,
            caller.id,
            starting_by=now + _AHEAD,
            ending_after=now - _GRACE,
            limit=_SESSIONS_OF_A_DESK,
            keys=self.keys,
        )
        ends = [one.ends_at + _GRACE for one in listed]
        last = min(ends, default=None) if as_token_request else max(ends, default=None)
        until = now + self.lifetime if last is None else min(now + self.lifetime, last)
        # Of those that are open alone: a desk is asked for long before, by those who then do not come.
        await reads.record_attendance(self.pool, [one.id for one in listed if one.is_open], caller.id, until)
        return await self._grant(
            caller,
            {one.id: _rights(is_open=one.is_open, is_over=False) for one in listed},
            {one.id: one.encryptor for one in listed},
            now,
            until,
            session_id=None,
            revocation_key=channels.desk_revocation_key(caller.id),
            as_token_request=as_token_request,
        )

    async def _grant(
        self,
        caller: Caller,
        rights: dict[UUID, _Rights],
        encryptors: dict[UUID, Encryptor],
        now: datetime,
        until: datetime,
        *,
        session_id: UUID | None,
        revocation_key: str,
        as_token_request: bool,
    ) -> RealtimeAccess:
        capability = {channels.notification_channel(caller.id): ["history", "subscribe"]}
        for one, (in_chat, of_typing) in rights.items():
            capability[channels.chat_channel(one, sealed=self.is_sealed)] = in_chat
            if of_typing:
                capability[channels.typing_channel(one)] = of_typing
        token: str | dict[str, Any]
        if as_token_request:
            # Noted first: one that is not known of could be exchanged when its session is over.
            heard = [one for one, (_, of_typing) in rights.items() if of_typing]
            await late_revocations.note_token_requests(self.pool, heard, caller.id, now + _REDEEMABLE)
            token = await self.ably.token_request(
                client_id=str(caller.id),
                capability=capability,
                ttl_ms=int((until - now).total_seconds() * 1000),
            )
        else:
            token = ably_token(
                self.ably_key,
                capability=capability,
                client_id=str(caller.id),
                lifetime=until - now,
                now=now,
                revocation_key=revocation_key,
            )
        # A desk is written down by its sessions, or once where it has none.
        action = "desk" if session_id is None else "session"
        await asyncio.gather(
            *(
                self.audit.record(AuditKind.TOKEN_ISSUED, action, caller.id, session_id=one)
                for one in (*rights,) or (None,)
            )
        )
        keys = {one: encryptors[one].channel_keys if self.is_sealed else None for one in rights}
        return RealtimeAccess(token, until, caller.id, capability, session_id, keys, self.ably.client_options)


def _rights(*, is_open: bool, is_over: bool) -> _Rights:
    """Return what a participant may do on the chat channel, and on that of who is typing.

    Before a chat opens one only listens, and after its end to the last events alone. The channel of who is
    typing is in every token of before the end, and in no later one: that is how those are revoked.
    """
    if is_open:
        return ["history", "presence", "subscribe"], ["publish", "subscribe"]
    return ["history", "subscribe"], [] if is_over else ["subscribe"]
