"""A transcript as plain text: a speaker's name begins a line, their message is indented below.

So no one can write a message that looks as if another person had sent it.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Final

from rdchat.texts.wording import day_in_words
from rdchat.transcript.builder import Day, MessageLine, StatusLine, one_line
from rdchat.transcript.words import WORDS, colophon, facts, file_label

if TYPE_CHECKING:
    from datetime import datetime

    from rdchat.transcript.builder import Item
    from statemachine import Session

_INDENT: Final = " " * 7
_RULE: Final = "-" * 60


class Plain:
    """Writes plain text."""

    def __init__(self, session: Session, timezone: str, generated_at: datetime) -> None:
        self._session = session
        self._timezone = timezone
        self._words = WORDS[session.language]
        self._generated_at = generated_at
        self._is_empty = True

    def head(self) -> str:
        """Return the title, the names, the time."""
        session, words = self._session, self._words
        lines = (
            (words["client"], _isolated(one_line(session.client_name))),
            (words["psychologist"], _isolated(one_line(session.psychologist_name))),
            *facts(session, self._timezone),
        )
        width = max(len(label) for label, _ in lines)
        title = words["title"].upper()
        table = "".join(f"{label:<{width}}  {text}\n" for label, text in lines)
        return f"{title}\n{'=' * len(title)}\n\n{table}\n{_RULE}\n"

    def item(self, item: Item) -> str:
        """Return the next item."""
        match item:
            case Day(date):
                return f"\n{day_in_words(date, self._session.language)}\n"
            case StatusLine(at, what, name):
                happened = self._words[what].replace("{name}", _isolated(name or ""))
                return f"\n{at:%H:%M}  * {happened}\n"
            case MessageLine():
                self._is_empty = False
                return self._message_line(item)

    def _message_line(self, said: MessageLine) -> str:
        mark = f" ({self._words['automated']})" if said.is_automated else ""
        lines = said.text.split("\n") if said.text else []
        if said.file is not None:
            lines.append(f"[{file_label(self._session, said.file)}: {_isolated(said.file.name)}]")
        below = "".join(f"{_INDENT}{line}".rstrip() + "\n" for line in lines)
        return f"\n{said.at:%H:%M}  {_isolated(said.name)}{mark}\n{below}"

    def foot(self) -> str:
        """Return the line that says when it was made."""
        nothing = f"\n{self._words['nothing']}\n" if self._is_empty else ""
        lines = "\n".join(colophon(self._session, self._timezone, self._generated_at))
        return f"{nothing}\n{_RULE}\n{lines}\n"


def _isolated(name: str) -> str:
    """Keep a right-to-left name from affecting the direction of the text beside it."""
    if any(unicodedata.bidirectional(one) in {"R", "AL"} for one in name):
        return f"\u2068{name}\u2069"
    return name
