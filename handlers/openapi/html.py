"""The HTML that the page at /docs is built of. What is not HTML by its type is escaped, so nothing slips."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_PARAGRAPH: Final = re.compile(r"\n\s*\n")
_CODE: Final = re.compile(r"`([^`]+)`")
#: A name in an object is a string with a colon behind it; everything between tokens is punctuation.
_JSON_TOKEN: Final = re.compile(
    r'(?P<key>"(?:[^"\\]|\\.)*"(?=:))|(?P<text>"(?:[^"\\]|\\.)*")|(?P<word>-?\d[\d.eE+-]*|true|false|null)'
)


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def escape(text: object) -> Html:
    """Make HTML of anything, unless it is HTML."""
    return text if isinstance(text, Html) else Html(html.escape(str(text)))


def joined(parts: Iterable[object], separator: str = "") -> Html:
    """Put parts one behind the other."""
    return Html(escape(separator).join(escape(part) for part in parts))


def element(name: str, *content: object, **attributes: str | None) -> Html:
    """Make an element. `class_` is the attribute `class`, `data_fill` is `data-fill`; None leaves one out."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Html(f"<{name}{written}>{joined(content)}</{name}>")


def code(text: object) -> Html:
    """Make inline code."""
    return element("code", text)


def inline(text: str) -> Html:
    """Make one line of prose; what stands between backticks is code."""
    pieces = _CODE.split(text)
    return joined(code(piece) if index % 2 else piece for index, piece in enumerate(pieces))


def prose(text: str) -> Html:
    """Make paragraphs of plain text."""
    return joined(element("p", inline(part)) for part in _PARAGRAPH.split(text.strip()) if part)


def table(caption: str, heads: Iterable[str], rows: Iterable[Html], *, kind: str) -> Html:
    """Make a table. The caption is for those who do not see what stands above it."""
    return element(
        "table",
        element("caption", caption, class_="unseen"),
        element("thead", element("tr", *(element("th", head, scope="col") for head in heads))),
        element("tbody", *rows),
        class_=kind,
    )


def panel(label: str, text: Html, *, kind: str) -> Html:
    """Make a block of code. It may scroll, so the keyboard must be able to reach it."""
    return element(
        "figure",
        element("figcaption", label),
        element("pre", element("code", text), tabindex="0", aria_label=label),
        class_=f"panel {kind}",
    )


def json_text(value: object) -> Html:
    """Write JSON, its tokens marked for colouring."""
    text = json.dumps(value, indent=2, ensure_ascii=False, default=str)
    parts: list[object] = []
    end = 0
    for token in _JSON_TOKEN.finditer(text):
        parts += [text[end : token.start()], element("span", token.group(), class_=f"j-{token.lastgroup}")]
        end = token.end()
    return joined([*parts, text[end:]])


def content_policy(*, style: str, script: str = "") -> str:
    """Write the policy of a page that may use its own style and script, by their hashes, and nothing else."""
    own = [f"style-src {_fingerprint(style)}", *([f"script-src {_fingerprint(script)}"] if script else [])]
    return f"default-src 'none'; {'; '.join(own)}; img-src data:; base-uri 'none'; form-action 'none'"


def _fingerprint(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
