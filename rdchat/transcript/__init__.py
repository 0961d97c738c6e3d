"""Transcripts of sessions, as plain text or as a page to keep and to print. Pure.

`builder` puts messages and events into one order, by the clock of the counselling's zone; `plain` and `page`
write them in their form, with `words` in the session's language. They work on one page of messages after the
other, so that a long session is never in memory as a whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from rdchat.transcript.builder import TranscriptBuilder
from rdchat.transcript.page import POLICY, STYLE_SOURCE, Page
from rdchat.transcript.plain import Plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from rdchat.domain.message import Message
    from rdchat.domain.timeline import TimelineEntry
    from rdchat.transcript.builder import Item
    from statemachine import Session

__all__ = ["POLICY", "STYLE_SOURCE", "Transcript"]


class _Form(Protocol):
    def head(self) -> str: ...

    def item(self, item: Item) -> str: ...

    def foot(self) -> str: ...


_FORMS: Final[dict[str, Callable[[Session, str, datetime], _Form]]] = {"txt": Plain, "html": Page}


class Transcript:
    """Writes one transcript, from its beginning to its end. `form`: `txt` or `html`.

    `timezone` is that of the one who reads it.
    """

    def __init__(
        self,
        form: str,
        session: Session,
        timeline: Iterable[TimelineEntry],
        *,
        timezone: str,
        generated_at: datetime,
    ) -> None:
        self._builder = TranscriptBuilder(session, timezone, timeline)
        self._form: _Form = _FORMS[form](session, timezone, generated_at)

    def begin(self) -> str:
        """Return the part above the messages."""
        return self._form.head()

    def add(self, messages: Iterable[Message]) -> str:
        """Return the next messages, with what happened before and between them."""
        return "".join(self._form.item(item) for item in self._builder.of(messages))

    def finish(self) -> str:
        """Return what happened after the last message, and the part below it."""
        return "".join(self._form.item(item) for item in self._builder.rest()) + self._form.foot()
