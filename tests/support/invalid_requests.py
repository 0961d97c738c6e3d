"""Wrong values for a field, made from what its schema says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from marshmallow import fields, validate

from handlers.schemas.parts import EndTime

if TYPE_CHECKING:
    from collections.abc import Iterator

#: One or more of each type of JSON.
_SHAPES: tuple[Any, ...] = (1, 0, -1, 1.5, True, False, [], ["Halo"], {}, {"a": 1}, "", "x", "1", "true")
#: Texts that look like something, and are nothing.
_TEXTS = ("Halo", "14h", "2027-13-01", "99:99", "\u0661\u0664:\u0660\u0660", "2030-01-15T24:61:00Z")
_PLACES = (fields.UUID, fields.Date, fields.Time, fields.DateTime, EndTime)
#: What a field of each kind takes, of the types of JSON.
_TAKEN = {
    fields.Nested: dict,
    fields.Dict: dict,
    fields.List: list,
    fields.Boolean: bool,
    fields.Integer: int,
    fields.String: str,
}


def invalid_in_json(field: fields.Field[Any], good: Any) -> Iterator[Any]:
    """Make values that a field of a JSON body must refuse. `good` is one that it takes, or None."""
    if not field.allow_none:
        yield None
    if isinstance(field, _PLACES):
        yield from (*_SHAPES, *_TEXTS)
    else:
        taken = next((type_ for kind, type_ in _TAKEN.items() if isinstance(field, kind)), None)
        assert taken, (
            f"no wrong values are known for {field!r}: add them to tests/support/invalid_requests.py"
        )
        yield from (value for value in _SHAPES if type(value) is not taken)
    if isinstance(field, fields.Nested) and isinstance(good, dict):
        yield from invalid_objects(field.schema.fields, good)
    if isinstance(field, fields.List):
        for item in invalid_in_json(field.inner, good[0] if isinstance(good, list) and good else None):
            yield [item]
    yield from beyond(field)


def invalid_objects(declared: dict[str, fields.Field[Any]], good: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Make objects of which one thing is wrong."""
    for name, field in declared.items():
        key = field.data_key or name
        for value in invalid_in_json(field, good.get(key)):
            yield {**good, key: value}
        if field.required:
            yield {other: good[other] for other in good if other != key}
    yield {**good, "unknown": 1}


def invalid_in_text(field: fields.Field[Any], *, in_form: bool = False) -> Iterator[str]:
    """Make values that a field of a query or a form must refuse. Everything is a text there."""
    if isinstance(field, fields.Integer):
        yield from ("", "x", "1.5", "1e3", "9" * 5_000, "NaN", "true", "1\x00", "0x1", "1,0", "[1]")
    elif isinstance(field, fields.Boolean):
        yield from ("maybe", "2", "[]", "null")
    elif isinstance(field, _PLACES):
        yield from ("", "x", "1", "null", "a\x00b", *_TEXTS)
    elif isinstance(field, fields.String):
        # A form has texts of several lines, in any direction.
        yield from ("a\x00b",) if in_form else ("a\x00b", "a\nb", "\u202e")
    else:
        raise NotImplementedError(
            f"no wrong texts are known for {field!r}: add them to tests/support/invalid_requests.py"
        )
    yield from map(str, beyond(field))


def beyond(field: fields.Field[Any]) -> Iterator[Any]:
    """Make values of the right type that are too long, too short, out of range, or none of the choices."""
    for validator in field.validators:
        if isinstance(validator, validate.Length):
            if validator.max is not None:
                yield _of_length(field, validator.max + 1)
            if validator.min:
                yield _of_length(field, validator.min - 1)
        elif isinstance(validator, validate.Range):
            if validator.max is not None:
                yield validator.max + 1
            if validator.min is not None:
                yield validator.min - 1
        elif isinstance(validator, validate.OneOf):
            yield "nothing we know"


def _of_length(field: fields.Field[Any], length: int) -> Any:
    return ["x"] * length if isinstance(field, fields.List) else "x" * length
