"""The pieces that the sections of the page at /docs share: badges, parts, tables of fields, samples."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers.openapi.html import Html, code, element, inline, joined, json_text, panel, table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from handlers.openapi.schema_reader import Field


def badge(method: str) -> Html:
    """Make the coloured mark of a method."""
    return element("span", method, class_=f"badge {method.lower()}")


def part(title: str, note: str, content: Html) -> Html:
    """Make a part of an article; none where there is nothing in it."""
    if not content:
        return content
    return element("section", element("h4", title, " ", element("small", note) if note else ""), content)


def field_table(caption: str, fields: Iterable[Field], *, kind: str = "answer") -> Html:
    """Make a table of the fields of an `answer` or a `request`, or of its `parameter`s.

    In a request a reader looks for what must be there, in an answer for what may be missing. What stands
    before a parameter's name is its place, which is shown; what stands before a field's is its indentation.
    """
    rows = []
    for field in fields:
        placed = kind == "parameter"
        before = element("span", f"{field.parent}.", class_="unseen") if field.parent and not placed else ""
        type_ = f"{field.type}, in {field.parent}" if placed else field.type
        limits = [
            element("li", name, " ", joined((code(value) for value in values), " "))
            for name, values in field.limits
        ]
        rows.append(
            element(
                "tr",
                element(
                    "th",
                    code(joined([before, field.name])),
                    _mark(field, kind),
                    scope="row",
                    class_=f"d{field.depth}",
                ),
                element(
                    "td",
                    element("p", type_, class_="type"),
                    element("p", inline(field.description)) if field.description else "",
                    element("ul", *limits, class_="limits") if limits else "",
                ),
            )
        )
    return table(caption, ("Name", "What it is"), rows, kind="fields") if rows else Html()


def _mark(field: Field, kind: str) -> Html:
    if kind == "answer":
        return Html() if field.required else element("span", "optional", class_="optional")
    return element("span", "required", class_="required") if field.required else Html()


def sample(label: str, value: object) -> Html:
    """Make a panel that shows JSON."""
    return panel(label, json_text(value), kind="json")
