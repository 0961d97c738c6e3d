"""What goes wrong on purpose, so that those who use the endpoint can see how they take it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import Enum
from typing import TYPE_CHECKING

from .capabilities import covers
from .errors import AblyError, ErrorCode

if TYPE_CHECKING:
    from collections.abc import Iterator


class FaultKind(Enum):
    """What happens instead of what should."""

    DELAY = "delay"  # it happens `seconds` later
    REFUSE = "refuse"  # it is refused, with `code` and `status`
    FAIL = "fail"  # it is answered as by a service that is broken: a 5xx
    HANG = "hang"  # it is performed, and never answered
    DROP = "drop"  # the socket is cut and nothing performed; a delivery is lost
    DUPLICATE = "duplicate"  # a delivery arrives twice


class Operation(Enum):
    """At what it happens."""

    CONNECT = "connect"
    ATTACH = "attach"
    PUBLISH = "publish"  # over REST, singly or in a batch, or on a connection
    PRESENCE = "presence"  # entering, updating, leaving
    READ = "read"  # history, presence and status over REST
    TOKEN = "token"  # noqa: S105 - requestToken, revokeTokens
    DELIVER = "deliver"  # a message or presence event on its way to one subscriber


_FIRST_REFUSAL, _LAST_REFUSAL = 400, 599
_AT_DELIVERY = frozenset({FaultKind.DELAY, FaultKind.DROP, FaultKind.DUPLICATE})


@dataclass(slots=True)
class Fault:
    """One thing that goes wrong: `times` times, or until it is removed.

    `on` None stands for every operation but deliveries; `channel` is a resource as in capabilities.
    """

    kind: FaultKind
    on: Operation | None = None
    channel: str = "*"
    times: int | None = None
    seconds: float = 1.0
    code: int = ErrorCode.RATE_LIMITED
    status: int | None = None
    message: str = "a fault that was asked for"

    def __post_init__(self) -> None:
        """Refuse what makes no sense: ValueError."""
        if self.on is Operation.DELIVER and self.kind not in _AT_DELIVERY:
            raise ValueError(f"{self.kind.value} does not happen to deliveries")
        if self.on is not Operation.DELIVER and self.kind is FaultKind.DUPLICATE:
            raise ValueError("duplicate happens to deliveries alone")
        if self.times is not None and self.times < 1:
            raise ValueError("times must be at least 1")
        if self.status is not None and not _FIRST_REFUSAL <= self.status <= _LAST_REFUSAL:
            raise ValueError("status must be an HTTP status that refuses: 400 to 599")
        if not 0 <= self.seconds <= 3_600:  # noqa: PLR2004 - an hour is longer than any client waits
            raise ValueError("seconds must be between 0 and 3600")

    def concerns(self, operation: Operation, channel: str | None) -> bool:
        """Return whether it happens at this operation on that channel (None: on none)."""
        if operation is not self.on and (self.on is not None or operation is Operation.DELIVER):
            return False
        return self.channel == "*" or (channel is not None and covers(self.channel, channel))

    def error(self) -> AblyError:
        """Make what REFUSE and FAIL answer."""
        if self.kind is FaultKind.REFUSE:
            return AblyError(self.code, self.message, status=self.status)
        status = self.status or 503
        return AblyError(status * 100, self.message, status=status)


@dataclass(slots=True)
class Faults:
    """The faults in force, in the order in which they were added: the first that fits happens."""

    _faults: dict[int, Fault] = field(default_factory=dict)
    _added: int = 0

    def __iter__(self) -> Iterator[tuple[int, Fault]]:
        """Iterate over what is in force, with its number; `times` is what is left."""
        return iter(list(self._faults.items()))

    def add(self, fault: Fault) -> int:
        """Add a fault. Return the number to remove it by."""
        self._added += 1
        self._faults[self._added] = replace(fault)
        return self._added

    def remove(self, number: int) -> bool:
        """Remove one fault; return False when there is none of that number (any more)."""
        return self._faults.pop(number, None) is not None

    def clear(self) -> None:
        """Remove all faults."""
        self._faults.clear()

    def take(self, operation: Operation, channel: str | None = None) -> Fault | None:
        """Return what happens at this operation, and count it; None: all goes well."""
        for number, fault in self._faults.items():
            if fault.concerns(operation, channel):
                if fault.times is not None:
                    fault.times -= 1
                    if fault.times == 0:
                        del self._faults[number]
                return fault
        return None
