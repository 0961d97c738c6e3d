"""What the schemas of an OpenAPI document say, in a form for people: fields, limits, examples."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote
from uuid import NAMESPACE_OID, uuid5

if TYPE_CHECKING:
    from collections.abc import Iterator

Node = dict[str, Any]

#: Schemas may contain themselves; no one reads deeper than this.
_DEEPEST: Final = 6
_COMBINING: Final = frozenset({"$ref", "allOf", "anyOf", "oneOf"})
_BY_FORMAT: Final = {
    "date": "2026-11-22",
    "date-time": "2026-11-22T07:00:00.000Z",
    "time": "14:00",
    "email": "budi@example.com",
    "uri": "/",
}
_RANGES: Final = (
    ("minLength", "maxLength", "characters"),
    ("minimum", "maximum", ""),
    ("minItems", "maxItems", "items"),
)


@dataclass(frozen=True, slots=True)
class Field:
    """One field of an object.

    `parent` is the way to it, as in `automations[]`; `limits` are pairs of a name and its values.
    """

    parent: str
    name: str
    depth: int
    type: str
    required: bool
    limits: tuple[tuple[str, tuple[str, ...]], ...]
    description: str


def node(value: object) -> Node:
    """Take a value for an object of the document: whatever is not one says nothing."""
    return value if isinstance(value, dict) else {}


class Reader:
    """Reads the schemas of one document."""

    def __init__(self, document: Node) -> None:
        self._document = document

    def at(self, value: object) -> Node:
        """Follow the reference that an object may be. One that leads nowhere gives an empty object."""
        found = node(value)
        for _ in range(_DEEPEST):
            if "$ref" not in found:
                return found
            target: object = self._document
            for part in str(found["$ref"]).removeprefix("#/").split("/"):
                target = node(target).get(unquote(part).replace("~1", "/").replace("~0", "~"))
            found = node(target) | {key: kept for key, kept in found.items() if key != "$ref"}
        return {}

    def flat(self, value: object, depth: int = 0) -> Node:
        """Merge a schema with what it refers to or combines; of alternatives, the first that is not null."""
        schema = self.at(value)
        if depth > _DEEPEST:
            return {}
        choices = [node(choice) for choice in schema.get("anyOf") or schema.get("oneOf") or ()]
        real = [choice for choice in choices if choice.get("type") != "null"]
        merged: Node = {}
        for part in [*schema.get("allOf", ()), *real[:1]]:
            merged |= self.flat(part, depth + 1)
        merged |= {key: kept for key, kept in schema.items() if key not in _COMBINING}
        if len(real) < len(choices):
            merged["type"] = [*_types(merged), "null"]
        return merged

    def example(self, value: object, name: str = "", *, sparse: bool = False, depth: int = 0) -> object:
        """Make an example: the document's own where it has one, otherwise something of the right form.

        `sparse` leaves out optional fields that would have to be made up, so that a request can be sent as it
        stands.
        """
        schema = self.flat(value)
        known = _known_example(schema)
        if known is not None or "example" in schema or depth > _DEEPEST:
            return known
        if schema.get("properties"):
            required = schema.get("required", ())
            return {
                # So that `sender.id` is the same as `senderId`.
                key: self.example(sub, f"{name}Id" if key == "id" else key, sparse=sparse, depth=depth + 1)
                for key, sub in schema["properties"].items()
                if not sparse or key in required or _known_example(self.flat(sub)) is not None
            }
        if isinstance(schema.get("additionalProperties"), dict):
            return {"name": self.example(schema["additionalProperties"], depth=depth + 1)}
        kind = next((kind for kind in _types(schema) if kind != "null"), None)
        if kind == "array":
            return [self.example(schema.get("items"), name.removesuffix("s"), sparse=sparse, depth=depth + 1)]
        return _made_up(schema, kind, name)

    def fields(self, value: object, parent: str = "", depth: int = 0) -> Iterator[Field]:
        """List the fields of an object and, below each, the fields within it."""
        schema = self.flat(value)
        if depth > _DEEPEST:
            return
        if "items" in schema:
            yield from self.fields(schema["items"], f"{parent}[]", depth)
        if isinstance(schema.get("additionalProperties"), dict):
            yield from self.fields(schema["additionalProperties"], f"{parent}.*".removeprefix("."), depth)
        for name, sub in node(schema.get("properties")).items():
            yield self.field(
                name, sub, required=name in schema.get("required", ()), parent=parent, depth=depth
            )
            yield from self.fields(sub, f"{parent}.{name}".removeprefix("."), depth + 1)

    def field(
        self,
        name: str,
        value: object,
        *,
        required: bool,
        parent: str = "",
        depth: int = 0,
        description: str = "",
    ) -> Field:
        """Describe one field, or one parameter with a description of its own."""
        schema = self.flat(value)
        limits = tuple(_limits(schema))
        text = description or str(schema.get("description", ""))
        return Field(parent, name, depth, self._type(schema), required, limits, text)

    def _type(self, schema: Node) -> str:
        names = [kind for kind in _types(schema) if kind != "null"]
        text = " or ".join(names) or "anything"
        if "items" in schema:
            text = f"array of {self._type(self.flat(schema['items']))}"
        elif isinstance(schema.get("additionalProperties"), dict):
            text = f"object, name to {self._type(self.flat(schema['additionalProperties']))}"
        elif "format" in schema:
            text = f"{text} ({schema['format']})"
        return f"{text} or null" if "null" in _types(schema) else text


def _types(schema: Node) -> list[str]:
    given = schema.get("type")
    if isinstance(given, str):
        return [given]
    if given:
        return [str(kind) for kind in given]
    if "properties" in schema:
        return ["object"]
    values = [schema["const"]] if "const" in schema else schema.get("enum", ())
    return ["boolean" if isinstance(value, bool) else "string" for value in values[:1]]


def _known_example(schema: Node) -> object:
    chosen = [schema.get(key) for key in ("example", "const", "default")]
    chosen += [*(schema.get("examples") or ())[:1], *(schema.get("enum") or ())[:1]]
    return next((value for value in chosen if value is not None), None)


def _made_up(schema: Node, kind: str | None, name: str) -> object:
    if kind == "string":
        if schema.get("format") == "uuid":
            # The same name gives the same id everywhere, and different names different ones.
            return str(uuid5(NAMESPACE_OID, name))
        return _BY_FORMAT.get(str(schema.get("format")), "text")
    if kind in {"integer", "number"}:
        return schema.get("minimum", 1)
    return {"boolean": True, "object": {}}.get(str(kind))


def _limits(schema: Node) -> Iterator[tuple[str, tuple[str, ...]]]:
    for low, high, unit in _RANGES:
        ends = [
            f"{name} {schema[key]:,}" for name, key in (("at least", low), ("at most", high)) if key in schema
        ]
        if low in schema and high in schema:
            ends = [f"{schema[low]:,} to {schema[high]:,}"]
        if ends:
            yield f"{ends[0]} {unit}".strip(), ()
    if "const" in schema:
        yield "always", (json.dumps(schema["const"]),)
    choices = tuple(str(value) for value in schema.get("enum", ()) if value is not None)
    if choices:
        yield ("one of" if len(choices) > 1 else "always"), choices
    if "pattern" in schema:
        yield "pattern", (str(schema["pattern"]),)
    if schema.get("default") is not None:
        yield "default", (json.dumps(schema["default"]).strip('"'),)
