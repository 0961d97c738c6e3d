"""The quick way through a schema gives what the schema itself would give: results and errors."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from marshmallow import Schema, ValidationError, fields, post_load, validate

from handlers.http.quick_load import loader
from handlers.schemas import MessageRequest
from handlers.server.application import ROUTES

BODIES = sorted({route.body for route in ROUTES if route.body is not None}, key=lambda one: one.__name__)
texts = st.text(max_size=20) | st.sampled_from(
    ["text", "chat", "", " ", "x" * 4097, "😊" * 4096, str(uuid4())]
)
values = st.one_of(
    texts, st.none(), st.booleans(), st.integers(), st.lists(texts, max_size=2), st.uuids().map(str)
)


def outcome(load: Any, body: dict[str, Any]) -> Any:
    try:
        return load(dict(body))
    except ValidationError as error:
        return error.messages


@pytest.mark.parametrize("schema", BODIES, ids=lambda one: one.__name__)
@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_it_loads_what_the_schema_loads(schema: type[Schema], data: st.DataObject) -> None:
    names = [field.data_key or name for name, field in schema().load_fields.items()]
    body = data.draw(st.dictionaries(st.sampled_from([*names, "unknown"]), values))
    assert outcome(loader(schema()), body) == outcome(schema().load, body)


def test_a_plain_body_does_not_go_through_the_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    session_id = uuid4()
    load = loader(MessageRequest())
    monkeypatch.setattr(Schema, "load", None)
    assert load({"sessionId": str(session_id), "message": "Halo"}) == {
        "session_id": session_id,
        "message": "Halo",
        "message_type": "text",
        "client_message_id": None,
    }


class Optional(Schema):
    """Fields that may be missing, with and without a default."""

    given = fields.String()
    made = fields.String(load_default=lambda: "made")
    owner = fields.UUID(data_key="ownerId", validate=validate.NoneOf([UUID(int=0)]))


class Changed(Schema):
    """A schema with a rule of its own."""

    name = fields.String()

    @post_load
    def loud(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        return {name: value.upper() for name, value in data.items()}


class Louder(fields.String):
    """A kind of our own."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> str:
        return str(super()._deserialize(value, *args, **kwargs)).upper()


class Kind(Schema):
    """A schema with that kind of field."""

    name = Louder()


@pytest.mark.parametrize(
    ("schema", "body"),
    [
        (Optional, {}),
        (Optional, {"given": "x"}),
        (Optional, {"ownerId": str(UUID(int=0))}),
        (Changed, {"name": "budi"}),
        (Kind, {"name": "budi"}),
    ],
)
def test_what_is_not_plain_is_left_to_the_schema(schema: type[Schema], body: dict[str, Any]) -> None:
    assert outcome(loader(schema()), body) == outcome(schema().load, body)
