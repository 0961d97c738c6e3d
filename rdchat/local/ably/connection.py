"""One client's connection, and what it needs of its websocket."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from .encoding import encode
from .protocol import Format
from .rates import Rate

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping

    from .errors import AblyError
    from .grants import Grant
    from .limits import Limits

#: Close codes of websockets (RFC 6455, 7.4.1, and its registry at IANA): all is well; broken rules; a frame
#: that is too large; come back later. Some of Ably's SDKs give up for good at the second and third.
NORMAL_CLOSURE = 1000
POLICY_VIOLATION = 1008
MESSAGE_TOO_BIG = 1009
TRY_AGAIN_LATER = 1013


class Outbox(Protocol):
    """Where a connection's frames go: one websocket."""

    def send(self, frame: bytes, *, delay: float = 0.0) -> None:
        """Queue a frame, to be sent after `delay` seconds; never blocks."""

    def discard(self) -> None:
        """Forget what is queued."""

    def finish(self, code: int = NORMAL_CLOSURE) -> None:
        """Close the websocket once everything queued has been sent, or after a while all the same."""

    def abort(self) -> None:
        """Drop the websocket at once."""

    def beat(self) -> None:
        """Send what keeps an idle websocket alive; drop one that is dead."""


@dataclass(slots=True)
class Pace:
    """How much a connection may still do in this second."""

    messages: Rate
    messages_fatal: Rate
    frames: Rate

    @classmethod
    def of(cls, limits: Limits, now: float) -> Pace:
        """Start with everything that `limits` allow."""
        return cls(
            Rate(limits.connection_messages, now),
            Rate(limits.connection_messages_fatal, now),
            Rate(limits.connection_frames, now),
        )


@dataclass(slots=True, eq=False)
class Connection:
    """One client's connection. `outbox` is None while its websocket is gone but it may still be resumed.

    `attached` are the channels where it may have members, attached or not since it was resumed.
    `remain_present_for`: so many seconds they stay after an abrupt drop; then `leaving` is due. `void_from`:
    from when on its token is revoked.
    """

    id: str
    key: str
    grant: Grant
    client_id: str | None
    format: Format
    echo: bool
    pace: Pace
    remain_present_for: float
    void_from: float | None = None
    outbox: Outbox | None = None
    attached: set[str] = field(default_factory=set)
    timers: list[asyncio.TimerHandle] = field(default_factory=list)
    leaving: asyncio.TimerHandle | None = None

    def send(self, **message: object) -> None:
        """Queue one protocol message."""
        self.send_frame(encode(message, self.format))

    def send_frame(self, frame: bytes, *, delay: float = 0.0) -> None:
        """Queue one encoded protocol message, to be sent after `delay` seconds; lost without a websocket."""
        if self.outbox is not None:
            self.outbox.send(frame, delay=delay)

    def leave_by(self, timer: asyncio.TimerHandle | None) -> None:
        """Let this timer, and no other, let members leave; None: none does."""
        if self.leaving is not None:
            self.leaving.cancel()
        self.leaving = timer

    def cancel_timers(self) -> None:
        """Forget what was to happen to this connection later."""
        for timer in self.timers:
            timer.cancel()
        self.timers.clear()


def closing_code(error: AblyError) -> int:
    """Return the websocket's close code for an error: a token that is not good is no offence."""
    if error.is_service_error:
        return TRY_AGAIN_LATER
    return NORMAL_CLOSURE if error.is_token_error else POLICY_VIOLATION


def query_format(query: Mapping[str, str]) -> Format:
    """Read the format that a websocket's URL asks for; JSON unless it says `format=msgpack`."""
    return Format.MSGPACK if query.get("format") == Format.MSGPACK.value else Format.JSON
