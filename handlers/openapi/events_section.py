"""The section of the page at /docs that tells of realtime events, made from the AsyncAPI document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from handlers.openapi.html import Html, code, element, joined, prose
from handlers.openapi.pieces import badge, field_table, part, sample
from handlers.openapi.schema_reader import Node, Reader, node

if TYPE_CHECKING:
    from collections.abc import Iterator

_TITLE: Final = "Realtime events"
_ANCHOR: Final = "realtime"
#: What a client does with an event, in a word that fits beside HTTP's methods.
_VERBS: Final = {"receive": "SUB", "send": "PUB"}


def menu(document: Node) -> Html:
    """Make the entries of the menu; none without events."""
    entries = [
        element(
            "li",
            element("a", badge("SUB"), " ", name, href=f"#{_anchor(name)}"),
            data_for=_anchor(name),
        )
        for _, name, _ in _events(document, Reader(document))
    ]
    return (
        element("section", element("h2", _TITLE), element("ul", *entries), class_="group")
        if entries
        else Html()
    )


def section(document: Node) -> Html:
    """Make the section; none without events."""
    reader = Reader(document)
    articles = [_article(document, *event, reader) for event in _events(document, reader)]
    if not articles:
        return Html()
    return element(
        "section",
        element("h2", _TITLE, id=_ANCHOR),
        prose(str(node(document.get("info")).get("description", ""))),
        prose("`SUB` marks what clients receive, `PUB` what they publish themselves."),
        *articles,
        class_="group",
        aria_labelledby=_ANCHOR,
    )


def _events(document: Node, reader: Reader) -> Iterator[tuple[Node, str, Node]]:
    """List each event with its channel."""
    for channel in node(document.get("channels")).values():
        for name, message in node(node(channel).get("messages")).items():
            yield node(channel), name, reader.at(message)


def _anchor(name: str) -> str:
    return f"event-{name}"


def _article(document: Node, channel: Node, name: str, message: Node, reader: Reader) -> Html:
    address = str(channel.get("address", ""))
    verbs = [_VERBS[action] for action in _actions(document, channel, name, reader) if action in _VERBS]
    words = [
        prose(str(message.get("summary") or "")),
        prose(str(channel.get("description") or "")),
        part("Data", "", field_table("Fields of the data", reader.fields(message.get("payload")))),
    ]
    shown = [node(example) for example in message.get("examples", ())]
    samples = [sample(f"Data: {example.get('name', name)}", example.get("payload")) for example in shown]
    return element(
        "article",
        element(
            "header",
            element("h3", element("a", name, href=f"#{_anchor(name)}")),
            element("p", joined([*map(badge, verbs), code(address)], " "), class_="path"),
        ),
        element("div", *words, class_="words"),
        element("div", *samples, class_="samples"),
        id=_anchor(name),
        data_find=f"{name} {address} {_TITLE} {' '.join(verbs)}".lower(),
    )


def _actions(document: Node, channel: Node, name: str, reader: Reader) -> Iterator[str]:
    """Say what a client can do with an event."""
    message = node(node(channel.get("messages")).get(name))
    for operation in node(document.get("operations")).values():
        if any(reader.at(one) == reader.at(message) for one in node(operation).get("messages", ())):
            yield str(operation.get("action"))
