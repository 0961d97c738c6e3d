"""Loading plain bodies quickly, by the rules of their schema.

marshmallow's own way through a schema costs a small request more than reading its JSON, deciding on it and
answering. Most requests are plain: every field is of one of a few kinds, and has a value of the kind's own
type. For these the fields' validators are called directly. Whatever is not plain, or not valid, goes through
the schema: it alone knows what is allowed, and words what is wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from marshmallow import RAISE, Schema, ValidationError, fields, missing

from rdchat.common.ids import read_id

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    Load = Callable[[dict[str, Any]], dict[str, Any]]
    _Plain = tuple[str, Callable[[Any], Any], tuple[Callable[[Any], Any], ...]]


def _text(value: Any) -> str:  # noqa: ANN401 - JSON
    if type(value) is not str:
        raise ValueError
    return value


def _id(value: Any) -> UUID:  # noqa: ANN401 - JSON
    if type(value) is not str:
        raise ValueError
    return read_id(value)


#: The kinds of fields that are read here, each as marshmallow reads it. Looked up by the exact class: a kind
#: of our own that is made from one of these has rules of its own.
_READERS: Final[dict[type[fields.Field[Any]], Callable[[Any], Any]]] = {
    fields.String: _text,
    fields.UUID: _id,
}


def loader(schema: Schema) -> Load:
    """Make a function that loads like `schema.load`: same results, same ValidationError."""
    own_rules = schema.unknown != RAISE or any(type(schema).resolve_hooks().values())
    if own_rules or not all(map(_is_plain, schema.load_fields.values())):
        return _slowly(schema)
    plain = {
        field.data_key or name: (name, _READERS[type(field)], tuple(field.validators))
        for name, field in schema.load_fields.items()
    }
    # What becomes of a field that is not given; a required one is not in here.
    defaults = {name: field.load_default for name, field in schema.load_fields.items() if not field.required}

    slowly = _slowly(schema)

    def load(given: dict[str, Any]) -> dict[str, Any]:
        try:
            loaded = _read(given, plain)
            for name, _, _ in plain.values():
                if name not in loaded and defaults[name] is not missing:
                    loaded[name] = defaults[name]
        except (KeyError, ValueError, ValidationError):
            return slowly(given)
        return loaded

    return load


def _slowly(schema: Schema) -> Load:
    def load(given: dict[str, Any]) -> dict[str, Any]:
        loaded: dict[str, Any] = schema.load(given)
        return loaded

    return load


def _read(given: dict[str, Any], plain: dict[str, _Plain]) -> dict[str, Any]:
    loaded = {}
    for key, value in given.items():
        name, read, validators = plain[key]
        loaded[name] = result = read(value)
        for validator in validators:
            validator(result)
    return loaded


def _is_plain(field: fields.Field[Any]) -> bool:
    processed = field.pre_load or field.post_load or field.dump_only
    return type(field) in _READERS and not processed and not callable(field.load_default)
