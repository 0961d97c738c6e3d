"""Capabilities: which operations a key or token allows on which channels."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .errors import AblyError, ErrorCode
from .protocol import NO_FLAGS, Flag

if TYPE_CHECKING:
    from collections.abc import Mapping

_ANY = "*"
# "[*]*" stands for all channels and the channels about channels, which this endpoint does not have.
_META = "[*]"

_MODE_OPERATIONS = {
    Flag.PRESENCE: ("presence",),
    Flag.PUBLISH: ("publish",),
    Flag.SUBSCRIBE: ("subscribe",),
    # Presence may be subscribed to wherever messages may.
    Flag.PRESENCE_SUBSCRIBE: ("subscribe", "presence-subscribe"),
}

# https://ably.com/docs/auth/capabilities
_OPERATIONS = frozenset(
    {
        _ANY,
        "publish",
        "subscribe",
        "history",
        "presence",
        "presence-subscribe",
        "channel-metadata",
        "stats",
        "push-subscribe",
        "push-admin",
        "privileged-headers",
        "object-subscribe",
        "object-publish",
        "annotation-subscribe",
        "annotation-publish",
        "message-update-own",
        "message-update-any",
        "message-delete-own",
        "message-delete-any",
    }
)


@dataclass(frozen=True, slots=True)
class Capability:
    """Operations by resource, as in `{"chat:*": ["subscribe", "history"]}`.

    In a resource a `*` segment stands for any one segment, and as the last one for all that follow.
    """

    resources: Mapping[str, frozenset[str]]

    @classmethod
    def parse(cls, value: object) -> Capability:
        """Read a capability from its JSON text or from the value that the text describes.

        Raise AblyError 40000 for anything else: unknown operations, "*" beside others, and none at all.
        """
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except (ValueError, RecursionError) as error:
                raise _invalid() from error
        if not isinstance(value, dict) or not value:
            raise _invalid()
        resources: dict[str, frozenset[str]] = {}
        for resource, operations in value.items():
            if not isinstance(resource, str) or not isinstance(operations, list):
                raise _invalid()
            if not operations or not all(isinstance(operation, str) for operation in operations):
                raise _invalid()
            if not _OPERATIONS.issuperset(operations) or (_ANY in operations and len(operations) > 1):
                raise _invalid()
            resources[resource] = frozenset(operations)
        return cls(resources)

    def text(self) -> str:
        """Write the canonical JSON text: resources and operations sorted, no spaces."""
        ordered = {resource: sorted(self.resources[resource]) for resource in sorted(self.resources)}
        return json.dumps(ordered, separators=(",", ":"))

    def permits(self, channel: str, operation: str) -> bool:
        """Return whether `operation` ("publish", "subscribe", ...) is allowed on that channel."""
        for resource, operations in self.resources.items():
            if (operation in operations or _ANY in operations) and covers(resource, channel):
                return True
        return False

    def require(self, channel: str, *operations: str) -> None:
        """Raise AblyError 40160 unless one of the operations is allowed on that channel."""
        for operation in operations:
            if self.permits(channel, operation):
                return
        wanted = " or ".join(operations)
        raise AblyError(
            ErrorCode.NOT_PERMITTED, f"operation not permitted: {wanted} on channel {channel}", status=401
        )

    def modes(self, channel: str) -> Flag:
        """Return the channel modes that this capability grants there, possibly none."""
        granted = NO_FLAGS
        for mode, operations in _MODE_OPERATIONS.items():
            if any(self.permits(channel, operation) for operation in operations):
                granted |= mode
        return granted

    def intersect(self, other: Capability) -> Capability:
        """Return what both allow. Resources count where one covers the other; mere overlaps grant nothing."""
        common: dict[str, frozenset[str]] = {}
        for mine, my_operations in self.resources.items():
            for theirs, their_operations in other.resources.items():
                narrower = theirs if covers(mine, theirs) else mine if covers(theirs, mine) else None
                operations = _common_operations(my_operations, their_operations)
                if narrower is not None and operations:
                    common[narrower] = common.get(narrower, frozenset()) | operations
        return Capability(common)


FULL_CAPABILITY = Capability({_ANY: frozenset({_ANY})})


def _common_operations(one: frozenset[str], other: frozenset[str]) -> frozenset[str]:
    if _ANY in one:
        return other
    if _ANY in other:
        return one
    return one & other


def covers(pattern: str, resource: str) -> bool:
    """Return whether `pattern` names every channel that `resource` (a name or a pattern) names."""
    if pattern in (_ANY, _META + _ANY, resource):
        return True
    if _ANY not in pattern:
        return False
    wanted, given = pattern.split(":"), resource.split(":")
    if wanted[-1] == _ANY and len(given) >= len(wanted):
        wanted = wanted[:-1]
        given = given[: len(wanted)]
    return len(wanted) == len(given) and all(w in (_ANY, g) for w, g in zip(wanted, given, strict=True))


def _invalid() -> AblyError:
    return AblyError(ErrorCode.BAD_REQUEST, "invalid capability")
