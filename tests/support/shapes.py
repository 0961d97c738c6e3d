"""Does an answer have the shape that the OpenAPI document promises? The part of JSON Schema that it uses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


def resolve(document: dict[str, Any], reference: str) -> Any:
    """Follow a `$ref` within the document. Raise KeyError where it leads nowhere."""
    assert reference.startswith("#/"), reference
    found: Any = document
    for part in reference[2:].split("/"):
        found = found[part.replace("~1", "/").replace("~0", "~")]
    return found


def references(part: Any) -> Iterator[str]:
    """Find every `$ref` below a part of the document."""
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for value in part.values():
            yield from references(value)
    elif isinstance(part, list):
        for value in part:
            yield from references(value)


def mismatches(document: dict[str, Any], schema: dict[str, Any], value: Any, at: str = "") -> Iterator[str]:
    """Return where a value does not have the shape, fields that are described nowhere included."""
    if "$ref" in schema:
        yield from mismatches(document, resolve(document, schema["$ref"]), value, at)
        return
    for choice in ("anyOf", "oneOf"):
        if choice in schema and all(list(mismatches(document, one, value, at)) for one in schema[choice]):
            yield f"{at}: none of {choice}"
    for one in schema.get("allOf", ()):
        yield from mismatches(document, one, value, at)
    if "const" in schema and value != schema["const"]:
        yield f"{at}: {value!r} is not {schema['const']!r}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{at}: {value!r} is none of {schema['enum']}"
    types = schema.get("type", [])
    types = [types] if isinstance(types, str) else types
    if types and not any(_is(value, name) for name in types):
        yield f"{at}: {value!r} is no {' or '.join(types)}"
    else:
        yield from _inside(document, schema, value, at)


def _inside(document: dict[str, Any], schema: dict[str, Any], value: Any, at: str) -> Iterator[str]:
    if isinstance(value, dict) and "properties" in schema:
        properties = schema["properties"]
        yield from (f"{at}: {name} is missing" for name in schema.get("required", ()) if name not in value)
        yield from (f"{at}: {name} is not described" for name in value.keys() - properties.keys())
        for name in value.keys() & properties.keys():
            yield from mismatches(document, properties[name], value[name], f"{at}.{name}")
    if isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            yield from mismatches(document, schema["items"], item, f"{at}[{index}]")


def _is(value: Any, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    return isinstance(value, _TYPES[name])
