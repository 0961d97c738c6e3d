"""The page at /docs: the OpenAPI document for people. Complete in itself, and readable without JavaScript."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from handlers.openapi import events_section
from handlers.openapi.html import Html, code, content_policy, element, escape, joined, panel, prose, table
from handlers.openapi.outline import FORM, AnswerOutline, Failure, Operation, curl, outline
from handlers.openapi.pieces import badge, field_table, part, sample
from handlers.openapi.schema_reader import Field, Node, Reader, node

if TYPE_CHECKING:
    from collections.abc import Iterable

_PIECES: Final = Path(__file__).resolve().parents[2] / "web" / "docs"
_TEMPLATE: Final = (_PIECES / "docs.html").read_text(encoding="utf-8")
_STYLE: Final = (_PIECES / "docs.css").read_text(encoding="utf-8")
_SCRIPT: Final = (_PIECES / "docs.js").read_text(encoding="utf-8")

#: What the page may do, for its answer's header as well.
POLICY: Final = content_policy(style=_STYLE, script=_SCRIPT)
_PLACE: Final = re.compile(r"{{(\w+)}}")
#: More fields than these are folded up: the example beside them shows most of what they say.
_MANY_FIELDS: Final = 10


def render(document: dict[str, Any], events: dict[str, Any] | None = None) -> str:
    """Render the page of an OpenAPI document and, if there is one, of the AsyncAPI document beside it."""
    reader = Reader(document)
    operations = list(outline(document, reader))
    tags = list(dict.fromkeys(operation.tag for operation in operations))
    about = {tag.get("name"): str(tag.get("description", "")) for tag in document.get("tags", ())}
    info = node(document.get("info"))
    pieces = {
        "policy": escape(POLICY),
        "style": Html(_STYLE),
        "script": Html(_SCRIPT),
        "base": escape(node(next(iter(document.get("servers", ())), {})).get("url", "")),
        "title": escape(info.get("title", "API")),
        "version": escape(info.get("version", "")),
        "description": prose(str(info.get("description", ""))),
        "menu": joined(_menu(tag, operations) for tag in tags),
        "envelope": field_table("Fields of an error", reader.fields({"$ref": "#/components/schemas/Error"})),
        "codes": _failures("Every error", _all_failures(operations)),
        "events_menu": events_section.menu(events or {}),
        "events": events_section.section(events or {}),
        "operations": joined(_section(tag, about.get(tag, ""), operations, reader) for tag in tags),
    }
    return _PLACE.sub(lambda place: pieces[place[1]], _TEMPLATE)


def _menu(tag: str, operations: Iterable[Operation]) -> Html:
    entries = [
        element(
            "li",
            element("a", badge(operation.method), " ", operation.summary, href=f"#{operation.anchor}"),
            data_for=operation.anchor,
        )
        for operation in operations
        if operation.tag == tag
    ]
    return element("section", element("h2", tag), element("ul", *entries), class_="group")


def _section(tag: str, about: str, operations: Iterable[Operation], reader: Reader) -> Html:
    anchor = "tag-" + re.sub(r"\W+", "-", tag)
    return element(
        "section",
        element("h2", tag, id=anchor),
        prose(about),
        *(_article(operation, reader) for operation in operations if operation.tag == tag),
        class_="group",
        aria_labelledby=anchor,
    )


def _article(operation: Operation, reader: Reader) -> Html:
    words = [
        prose(operation.text),
        _who(operation),
        part("Parameters", "", field_table("Parameters", _parameters(operation, reader), kind="parameter")),
        part(
            "Body",
            operation.media,
            field_table("Fields of the body", reader.fields(operation.body), kind="request"),
        ),
        *(_answer(answer, reader) for answer in operation.answers),
        part("Errors", "", _failures("Errors", operation.failures)),
    ]
    samples = [panel("Request", _command(operation, reader), kind="shell")]
    if operation.media and operation.media != FORM:
        samples.append(sample("Body", reader.example(operation.body, sparse=True)))
    samples += [
        sample(f"Answer {answer.status}", reader.example(answer.schema))
        for answer in operation.answers
        if answer.schema
    ]
    found_by = [operation.method, operation.path, operation.summary, operation.tag]
    found_by += [failure.code for failure in operation.failures]
    return element(
        "article",
        element(
            "header",
            element("h3", element("a", operation.summary, href=f"#{operation.anchor}")),
            element("p", badge(operation.method), " ", code(operation.path), class_="path"),
        ),
        element("div", *words, class_="words"),
        element("div", *samples, class_="samples"),
        id=operation.anchor,
        data_find=" ".join(found_by).lower(),
    )


def _who(operation: Operation) -> Html:
    roles = operation.roles or (
        ("every caller with a token",) if operation.secured else ("everyone, without a token",)
    )
    return element(
        "div", element("span", "For"), element("ul", *(element("li", role) for role in roles)), class_="roles"
    )


def _parameters(operation: Operation, reader: Reader) -> Iterable[Field]:
    for parameter in operation.parameters:
        yield reader.field(
            str(parameter.get("name", "")),
            parameter.get("schema"),
            required=bool(parameter.get("required")),
            parent=str(parameter.get("in", "")),
            description=str(parameter.get("description", "")),
        )


def _answer(answer: AnswerOutline, reader: Reader) -> Html:
    fields = list(reader.fields(_within_envelope(reader.flat(answer.schema))))
    listing = field_table(f"Fields of the answer {answer.status}", fields)
    if len(fields) > _MANY_FIELDS:
        listing = element("details", element("summary", f"All {len(fields)} fields"), listing)
    return part(
        f"Answer {answer.status}", ", ".join(answer.media), joined([prose(answer.description), listing])
    )


def _within_envelope(schema: Node) -> Node:
    """Take the data out of its envelope, which is explained once, at the top."""
    properties = node(schema.get("properties"))
    if not {"success", "data", "message"} <= properties.keys():
        return schema
    return {"type": "object", "properties": {"data": properties["data"]}, "required": ["data"]}


def _failures(caption: str, failures: Iterable[Failure]) -> Html:
    rows = [
        element(
            "tr",
            element("td", failure.status),
            element("th", code(failure.code) if failure.code else "", scope="row"),
            element("td", failure.message),
        )
        for failure in failures
    ]
    return table(caption, ("Status", "Code", "Message"), rows, kind="errors") if rows else Html()


def _all_failures(operations: Iterable[Operation]) -> list[Failure]:
    every = {failure for operation in operations for failure in operation.failures if failure.code}
    return sorted(every, key=lambda failure: (failure.status, failure.code))


def _command(operation: Operation, reader: Reader) -> Html:
    text = escape(curl(operation, reader))
    for variable, kind in (("$RDCHAT", "origin"), ("$TOKEN", "token")):
        # The script puts the reader's own values in; as they stand, they are variables of the shell.
        text = Html(text.replace(variable, element("span", variable, data_fill=kind), 1))
    return text
