"""A transcript as a page: one file without scripts or anything from elsewhere, to read, keep and print."""

from __future__ import annotations

import base64
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rdchat.common.clock import iso
from rdchat.texts.wording import day_in_words
from rdchat.transcript.builder import Day, MessageLine, StatusLine, one_line
from rdchat.transcript.words import WORDS, colophon, facts, file_label

if TYPE_CHECKING:
    from datetime import datetime

    from rdchat.transcript.builder import Item
    from statemachine import Session

_STYLE: Final = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
_HASH: Final = base64.b64encode(sha256(_STYLE.encode()).digest()).decode()
#: Its one style sheet, as policies name it. A page that opens it out of memory passes on its own policy.
STYLE_SOURCE: Final = f"'sha256-{_HASH}'"
#: What a browser may do with the page: apply that sheet, and nothing else.
POLICY: Final = f"default-src 'none'; style-src {STYLE_SOURCE}; base-uri 'none'; form-action 'none'"


class Page:
    """Writes HTML."""

    def __init__(self, session: Session, timezone: str, generated_at: datetime) -> None:
        self._session = session
        self._timezone = timezone
        self._words = WORDS[session.language]
        self._generated_at = generated_at
        self._in_day = False
        self._is_empty = True

    def head(self) -> str:
        """Return the document's head, the title, the names, the time."""
        session, words = self._session, self._words
        people = (
            ("client", words["client"], one_line(session.client_name)),
            ("psychologist", words["psychologist"], one_line(session.psychologist_name)),
        )
        rows = [
            f'<div class="{role}"><dt>{label}</dt><dd><bdi>{escape(name)}</bdi></dd></div>\n'
            for role, label, name in people
        ]
        rows += [
            f"<div><dt>{label}</dt><dd>{escape(text)}</dd></div>\n"
            for label, text in facts(session, self._timezone)
        ]
        # Said in the page as well: it is kept as a file, without the headers that it came with.
        return f"""<!doctype html>
<html lang="{session.language}">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<meta name="color-scheme" content="light">
<title>{words["title"]}, {facts(session, self._timezone)[0][1]}</title>
<style>{_STYLE}</style>
</head>
<body>
<header>
<h1>{words["title"]}</h1>
<dl>
{"".join(rows)}</dl>
</header>
<main>
"""

    def item(self, item: Item) -> str:
        """Return the next item."""
        match item:
            case Day(date):
                before, self._in_day = "</ol>\n" if self._in_day else "", True
                words = day_in_words(date, self._session.language)
                return f'{before}<h2><time datetime="{date}">{words}</time></h2>\n<ol>\n'
            case StatusLine(at, what, name):
                before_name, place, after_name = self._words[what].partition("{name}")
                who = f"<bdi>{escape(name or '')}</bdi>" if place else ""
                return f'<li class="status">{_time(at)} <span>{before_name}{who}{after_name}</span></li>\n'
            case MessageLine():
                self._is_empty = False
                return self._message_line(item)

    def _message_line(self, said: MessageLine) -> str:
        role = "psychologist" if said.by_psychologist else "client"
        mark = f' <span class="mark">{self._words["automated"]}</span>' if said.is_automated else ""
        text = f'<p class="text" dir="auto">{escape(said.text)}</p>\n' if said.text else ""
        file = ""
        if said.file is not None:
            name = f"<bdi>{escape(said.file.name)}</bdi>"
            file = f'<p class="file">{file_label(self._session, said.file)}: {name}</p>\n'
        kind = f"{role} automated" if said.is_automated else role
        return (
            f'<li class="{kind}">\n'
            f'<p class="by"><span><bdi class="name">{escape(said.name)}</bdi>{mark}</span> '
            f"{_time(said.at)}</p>\n"
            f"{text}{file}</li>\n"
        )

    def foot(self) -> str:
        """Return the line that says when it was made, and the end of the document."""
        day = "</ol>\n" if self._in_day else ""
        nothing = f'<p class="nothing">{self._words["nothing"]}</p>\n' if self._is_empty else ""
        made = escape(" ".join(colophon(self._session, self._timezone, self._generated_at)))
        return f"{day}{nothing}</main>\n<footer><p>{made}</p></footer>\n</body>\n</html>\n"


def _time(at: datetime) -> str:
    return f'<time datetime="{iso(at)}">{at:%H:%M}</time>'
