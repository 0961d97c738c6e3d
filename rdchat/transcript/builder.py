"""The transcript builder: days, messages and status lines of a session, in their order.

Texts and names pass through here once for all forms: control characters are made visible, and names are kept
from rearranging their line.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rdchat.domain.message import Message, MessageType
from rdchat.texts.wording import wall_time
from statemachine import Cancel, Extend, Status

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import date, datetime

    from rdchat.domain.timeline import TimelineEntry
    from statemachine import Session


@dataclass(frozen=True, slots=True)
class Day:
    """A new day begins, by the clock of the counselling's zone."""

    date: date


@dataclass(frozen=True, slots=True)
class StatusLine:
    """The session changed. `what` names the words for it, `name` the person who did it, if a person did."""

    at: datetime
    what: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class FileLine:
    """A file that came with a message. Of a recording, `seconds` is how long it is, if that is known."""

    name: str
    is_recording: bool = False
    seconds: int | None = None


@dataclass(frozen=True, slots=True)
class MessageLine:
    """A message was sent. `at` is wall time."""

    at: datetime
    name: str
    by_psychologist: bool
    text: str
    is_automated: bool
    file: FileLine | None = None


Item = Day | StatusLine | MessageLine


class TranscriptBuilder:
    """Merges messages, which come in order, with the timeline."""

    def __init__(self, session: Session, timezone: str, timeline: Iterable[TimelineEntry]) -> None:
        self._session = session
        self._timezone = timezone
        lines = [
            (entry, line)
            for entry in timeline
            if (line := _status_line(session, timezone, entry)) is not None
        ]
        self._lines = deque(sorted(lines, key=lambda one: one[0].at))
        self._day: date | None = None

    def of(self, messages: Iterable[Message]) -> Iterator[Item]:
        """Return the next messages, and what happened before each."""
        for message in messages:
            while self._lines and _comes_before(self._lines[0][0], message):
                yield from self._dated(self._lines.popleft()[1])
            yield from self._dated(_message_line(self._session, self._timezone, message))

    def rest(self) -> Iterator[Item]:
        """Give what happened after the last message."""
        while self._lines:
            yield from self._dated(self._lines.popleft()[1])

    def _dated(self, item: StatusLine | MessageLine) -> Iterator[Item]:
        day = item.at.date()
        # The clocks of two replicas may differ a little: no day begins twice.
        if self._day is None or day > self._day:
            self._day = day
            yield Day(day)
        yield item


def _comes_before(entry: TimelineEntry, message: Message) -> bool:
    """Return whether it comes first: the opening precedes its welcome, an end follows the last message."""
    if entry.destination == Status.ACTIVE:
        return entry.at <= message.created_at
    return entry.at < message.created_at


def _status_line(session: Session, timezone: str, entry: TimelineEntry) -> StatusLine | None:
    at = wall_time(timezone, entry.at)
    if entry.trigger == Extend.trigger:
        return StatusLine(at, "extended")
    if entry.destination in {entry.source, Status.ENDING_SOON}:
        return None
    name = one_line(session.name_of(entry.actor_id)) if entry.actor_id in session.participants else None
    if entry.destination == Status.ACTIVE:
        return StatusLine(at, "opened")
    if entry.destination == Status.COMPLETED:
        return StatusLine(at, "ended" if name is None else "ended_by", name)
    if entry.trigger == Cancel.trigger:
        return StatusLine(at, "cancelled_for_all" if name is None else "cancelled_by", name)
    return StatusLine(at, "missed")


def _message_line(session: Session, timezone: str, message: Message) -> MessageLine | StatusLine:
    if message.message_type is MessageType.SYSTEM:
        # It stands for a message that is not as it was written: no one has said it.
        return StatusLine(wall_time(timezone, message.created_at), "altered")
    return MessageLine(
        at=wall_time(timezone, message.created_at),
        name=one_line(message.sender_name),
        by_psychologist=message.sender_id != session.client_id,
        text=visible(message.text),
        is_automated=message.is_automated,
        file=_file_line(message),
    )


def _file_line(message: Message) -> FileLine | None:
    attachment = message.attachment
    if attachment is None:
        return None
    # As players show it: one that is played for less than a second is of 0:01.
    seconds = max(1, round(attachment.duration_ms / 1000)) if attachment.duration_ms is not None else None
    return FileLine(one_line(attachment.file_name), message.message_type is MessageType.AUDIO, seconds)


#: All but tabs and line feeds; a lone surrogate could not be encoded.
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
#: Characters that change the direction of the text behind them: embeddings, overrides and isolates.
_TURNING: Final = re.compile("[\u202a-\u202e\u2066-\u2069]")


def visible(text: str) -> str:
    """Make every line break a line feed, and every other control character visible."""
    return _CONTROL.sub("\ufffd", "\n".join(text.splitlines()))


def one_line(name: str) -> str:
    """Make a name that stays on its line and leaves the rest of the line alone."""
    return " ".join(_TURNING.sub("", visible(name)).split())
