"""What an ATTACH asks for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .errors import AblyError, ErrorCode
from .protocol import MODES, NO_FLAGS, UNSUPPORTED_MODES, Flag

if TYPE_CHECKING:
    from collections.abc import Mapping

_PARAMS = frozenset({"rewind", "rewindLimit", "modes", "echo"})
_LONGEST_PARAM = 1_000  # they are kept for as long as the channel is attached


@dataclass(frozen=True, slots=True)
class AttachOptions:
    """What an ATTACH asks for. `params` are those that are understood, as they are echoed.

    `modes` may hold some that this endpoint grants to no one.
    """

    modes: Flag
    resumes: bool
    channel_serial: str
    params: dict[str, str]

    @classmethod
    def read(cls, frame: Mapping[str, object]) -> AttachOptions:
        """Read a frame's flags, channelSerial and params.

        Raise AblyError 40000 for flags that are none, 40003 for a param of more than 1,000 characters.
        """
        flags = frame.get("flags") or 0
        if type(flags) is not int or flags < 0:
            raise AblyError(ErrorCode.BAD_REQUEST, "flags must be a number")
        given = frame.get("params")
        params = {
            name: str(value)
            for name, value in (given.items() if isinstance(given, dict) else ())
            if name in _PARAMS and isinstance(value, str | int)
        }
        if any(len(value) > _LONGEST_PARAM for value in params.values()):
            raise AblyError(ErrorCode.INVALID_PARAMETER, "a channel param is too long")
        # Only the bits that mean something: `Flag` remembers every other number for good.
        known = MODES | UNSUPPORTED_MODES
        flags &= int(known | Flag.ATTACH_RESUME)
        modes = Flag(flags) & known
        if "modes" in params:
            # They win over the flags: https://ably.com/docs/channels/options#modes
            names = [name.strip().upper() for name in params["modes"].split(",")]
            modes = NO_FLAGS
            for name in names:
                modes |= Flag.__members__.get(name, NO_FLAGS) & known
        serial = frame.get("channelSerial")
        return cls(
            modes or MODES,
            Flag.ATTACH_RESUME in Flag(flags),
            serial if isinstance(serial, str) else "",
            params,
        )

    @property
    def echo(self) -> bool:
        """Whether the connection receives its own messages on this channel."""
        return self.params.get("echo", "true").lower() != "false"

    @property
    def rewind(self) -> str | None:
        """From where to start, if it is not from now on."""
        return self.params.get("rewind")

    @property
    def rewind_limit(self) -> str | None:
        """How many messages to start with at most."""
        return self.params.get("rewindLimit")
