"""The OpenAPI document: nothing is missing, nothing leads nowhere, and its examples are what it says."""

from __future__ import annotations

import inspect
import json
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from marshmallow import ValidationError, fields

from handlers import schemas
from handlers.http.routing import PREFIX, Route
from handlers.openapi.responses import errors_of
from handlers.server.application import ROUTES, api_document
from rdchat.common.errors import ERRORS, ErrorCode
from rdchat.domain.permissions import EVERYONE_SIGNED_IN
from tests.support.shapes import mismatches, references, resolve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from marshmallow import Schema

DOCUMENT = api_document()
COMPONENTS = DOCUMENT["components"]["schemas"]
REQUESTS = sorted({one for route in ROUTES for one in (route.body, route.query) if one}, key=str)
SCHEMAS = [getattr(schemas, name) for name in schemas.__all__]
OPERATIONAL = ("/", "/healthz", "/readyz", "/metrics", "/openapi.json", "/asyncapi.json", "/docs")

each_route = pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.operation)
each_request = pytest.mark.parametrize("schema", REQUESTS, ids=lambda schema: schema.__name__)
each_schema = pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: schema.__name__)


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in DOCUMENT["paths"].items():
        for method, operation in item.items():
            yield method.upper(), path, operation


def operation_of(route: Route) -> dict[str, Any]:
    found: dict[str, Any] = DOCUMENT["paths"][PREFIX + route.path][route.method.lower()]
    return found


def objects(part: Any) -> Iterator[dict[str, Any]]:
    """Find every schema with named fields below a part of the document."""
    if isinstance(part, dict):
        if isinstance(part.get("properties"), dict):
            yield part
        for value in part.values():
            yield from objects(value)
    elif isinstance(part, list):
        for value in part:
            yield from objects(value)


def component_name(schema: type[Schema]) -> str:
    """Name what apispec makes of a schema: its class's name, without `Schema`."""
    return schema.__name__.removesuffix("Schema")


def named(schema: type[Schema]) -> Iterator[str]:
    """Name a schema's component, and those of what it is made of."""
    yield component_name(schema)
    for field in schema().fields.values():
        inner = field.inner if isinstance(field, fields.List) else field
        if isinstance(inner, fields.Nested):
            yield from named(type(inner.schema))


# ---- the document -----------------------------------------------------------------------------------------


def test_it_is_openapi_3_1_and_the_same_each_time() -> None:
    assert re.fullmatch(r"3\.1\.\d+", DOCUMENT["openapi"])
    assert api_document() == DOCUMENT
    assert orjson.dumps(api_document()) == orjson.dumps(DOCUMENT)
    assert json.loads(json.dumps(DOCUMENT)) == DOCUMENT


def test_every_reference_leads_somewhere_and_every_component_is_used() -> None:
    used = set(references(DOCUMENT))
    assert all(resolve(DOCUMENT, reference) for reference in used)
    for kind in ("schemas", "headers"):
        assert {f"#/components/{kind}/{name}" for name in DOCUMENT["components"][kind]} <= used


def test_every_route_is_there_under_a_name_of_its_own() -> None:
    assert Counter((method, path) for method, path, _ in operations()) == Counter(
        [*((route.method, PREFIX + route.path) for route in ROUTES), *(("GET", path) for path in OPERATIONAL)]
    )
    names = [operation["operationId"] for _, _, operation in operations()]
    assert len(names) == len(set(names))


def test_every_tag_is_described_and_used() -> None:
    described = {tag["name"]: tag["description"] for tag in DOCUMENT["tags"]}
    assert all(described.values())
    assert list(described) == list(
        dict.fromkeys(tag for _, _, operation in operations() for tag in operation["tags"])
    )


def test_it_says_where_the_realtime_events_are_described() -> None:
    assert "`/asyncapi.json`" in DOCUMENT["info"]["description"]


# ---- lists ------------------------------------------------------------------------------------------------


#: Answers with lists that are no pages, and why they cannot grow without end.
WHOLE_LISTS = {
    "export_person": "all that is kept of one person, in one piece, to take along",
    "list_slots": "of one day",
    "get_ably_token": "the sessions of one desk, which a token can hold",
    "get_report": "a line for each psychologist, in numbers that are read together",
    "list_all_slots": "of thirty-five days",
    "get_timeline": "of one session",
    "get_transcript": "all of one session: that is what it is for",
    "get_unread": "of the last thirty days",
    "get_availability": "of one psychologist, who is allowed so many",
    "get_session": "the four automations",
    "get_organization": "so many crisis contacts as a file may have",
    "list_crisis_contacts": "so many as a file may have",
    "list_quick_replies": "of one psychologist, who may have fifty",
}


@each_route
def test_every_list_that_can_grow_has_the_one_form(route: Route) -> None:
    if route.method != "GET" or route.data is None:
        return
    operation = operation_of(route)
    answer = operation["responses"]["200"]["content"]["application/json"]["schema"]["properties"]["data"]
    data = resolve(DOCUMENT, answer["$ref"]) if "$ref" in answer else answer
    arrays = {name for name, field in data.get("properties", {}).items() if field.get("type") == "array"}
    if "data" not in arrays:
        is_list = data.get("type") == "array" or bool(arrays)
        assert is_list == (route.operation in WHOLE_LISTS), route.operation
        return
    assert arrays == {"data"}
    assert data["properties"]["nextCursor"]["type"] == ["string", "null"]
    assert {"data", "nextCursor"} <= set(data["required"])
    parameters = {one["name"]: one for one in operation["parameters"]}
    assert parameters["cursor"]["schema"]["type"] == "string"
    assert not parameters["cursor"]["required"]
    limit = parameters["limit"]["schema"]
    assert (limit["type"], limit["minimum"], limit["maximum"]) == ("integer", 1, 100)


# ---- words and examples -----------------------------------------------------------------------------------


def test_every_schema_and_every_field_is_described() -> None:
    for name, schema in COMPONENTS.items():
        assert schema["description"], name
        for field, described in schema["properties"].items():
            assert described.get("description", "").endswith("."), f"{name}.{field}"


def test_every_parameter_is_described() -> None:
    for method, path, operation in operations():
        for parameter in operation.get("parameters", ()):
            where = f"{method} {path} {parameter['name']}"
            assert parameter["description"].endswith("."), where
            # In a query nothing can be null.
            assert isinstance(parameter["schema"]["type"], str), where
            assert None not in parameter["schema"].get("enum", ()), where
            assert parameter["schema"].get("default", 0) is not None, where


@each_schema
def test_every_example_is_a_value_of_its_field(schema: type[Schema]) -> None:
    for name, field in schema().fields.items():
        if "example" in field.metadata:
            field.deserialize(field.metadata["example"])
            assert "description" in field.metadata, name


def test_examples_have_the_shapes_that_stand_beside_them() -> None:
    shown = 0
    for schema in objects(DOCUMENT):
        for name, field in schema["properties"].items():
            if "example" in field:
                shown += 1
                assert not list(mismatches(DOCUMENT, field, field["example"], name))
                if "pattern" in field:
                    assert re.fullmatch(field["pattern"], field["example"])
    assert shown > 50


@each_request
def test_every_example_of_a_request_is_loaded(schema: type[Schema]) -> None:
    fields = {field.data_key or name: field for name, field in schema().fields.items()}
    described = COMPONENTS.get(component_name(schema), {"properties": {}})["properties"]
    required = {
        name: field.metadata.get("example", next(iter(described.get(name, {}).get("enum", ())), None))
        for name, field in fields.items()
        if field.required
    }
    ways = {"date", "startsAt"} <= fields.keys()
    if not ways:
        schema().load(required)
    # Each optional field on its own, as some exclude each other; or all together, where one needs the others.
    optional = {
        name: field.metadata["example"] for name, field in fields.items() if "example" in field.metadata
    }
    for name, example in optional.items():
        try:
            schema().load(required | {name: example})
        except ValidationError:
            schema().load(required | optional)


def test_requests_are_closed_and_answers_are_not() -> None:
    bodies = {name for route in ROUTES if route.body is not None for name in named(route.body)}
    for name, schema in COMPONENTS.items():
        assert schema.get("additionalProperties", True) is (name not in bodies), name


def test_what_may_be_left_out_has_no_default() -> None:
    """Generators of types take a field with a default for one that is always there."""
    for schema in objects(DOCUMENT):
        for name, field in schema["properties"].items():
            assert "default" not in field, (name, field)
            assert "default" not in field.get("items", {}), (name, field)


# ---- answers ----------------------------------------------------------------------------------------------


@each_route
def test_every_success_says_what_was_done(route: Route) -> None:
    responses = dict(operation_of(route)["responses"])
    expected = {str(route.status): route.done, **{str(status): done for status, done in route.also}}
    if route.tagged and route.method == "GET":
        unchanged = responses.pop("304")
        assert (unchanged["content"], set(unchanged["headers"])) == ({}, {"X-Request-Id", "ETag"})
    if route.ranged:
        assert responses.pop("206")["content"] == responses["200"]["content"]
    assert {
        status: response["description"] for status, response in responses.items() if status < "400"
    } == expected
    assert all(done.endswith(".") for done in expected.values())
    if route.data is not None:
        for status in expected:
            schema = responses[status]["content"]["application/json"]["schema"]
            assert schema["properties"]["message"]["example"] == route.message
        # Once where the handler says it, and once where the route promises it.
        assert inspect.getsource(inspect.getmodule(route.handler)).count(f'"{route.message}"') >= 2  # type: ignore[arg-type]


@each_route
def test_every_error_stands_under_its_status(route: Route) -> None:
    responses = operation_of(route)["responses"]
    codes = {
        (status, code)
        for status, response in responses.items()
        for code in re.findall(r"`([A-Z_]+)`: [^`]+\.", response["description"])
    }
    assert codes == {(str(ERRORS[code][0]), code.value) for code in errors_of(route)}
    for status, response in responses.items():
        if status >= "400":
            assert response["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Error"}


@each_route
def test_a_route_lists_what_follows_from_its_form(route: Route) -> None:
    codes = errors_of(route)
    everywhere = {"VALIDATION_FAILED", "INTERNAL", "UNAVAILABLE"}
    assert (ErrorCode.UNAUTHENTICATED in codes) == (not route.public)
    assert everywhere | set(route.errors) <= codes
    assert (ErrorCode.PAYLOAD_TOO_LARGE in codes) == (route.body is not None)
    assert (ErrorCode.NOT_FOUND in codes) == ("{" in route.path)
    assert ErrorCode.FORBIDDEN in codes or route.roles == EVERYONE_SIGNED_IN


@each_route
def test_the_last_paragraph_names_the_roles(route: Route) -> None:
    operation = operation_of(route)
    if route.public:
        assert (operation["description"], operation["security"]) == (inspect.getdoc(route.handler), [])
        return
    text, _, last = operation["description"].rpartition("\n\n")
    assert text == inspect.getdoc(route.handler)
    assert last == f"Roles: {', '.join(sorted(route.roles))}."


def test_headers_are_declared() -> None:
    for method, path, operation in operations():
        for status, response in operation["responses"].items():
            headers = set(response["headers"])
            expected = {"X-Request-Id"}
            if path.startswith(PREFIX):
                limits = {"RateLimit-Policy", "RateLimit"}
                expected |= {
                    "401": {"WWW-Authenticate"},
                    "429": {"Retry-After", *limits},
                    "503": {"Retry-After"},
                }.get(status, set())
                tagged = {one["name"] for one in operation.get("parameters", ())} & {
                    "If-Match",
                    "If-None-Match",
                }
                expected |= {"ETag"} if status < "400" and tagged else set()
                if "206" in operation["responses"]:
                    expected |= {"ETag", "Accept-Ranges"} if status < "400" else set()
                    expected |= {"Content-Range"} if status in ("206", "416") else set()
                if status < "300" and "429" in operation["responses"]:
                    bare = set(response["content"]) - {"application/json"}
                    expected |= limits if not bare else set()
            assert headers == expected, f"{method} {path} {status}"


@each_route
def test_headers_that_a_handler_heeds_are_declared(route: Route) -> None:
    source = inspect.getsource(route.handler)
    # `Accept` is said by the media types of the answers.
    heeded = set(re.findall(r'headers\.get\("([\w-]+)"', source)) - {"Accept"}
    if "ranges." in source:
        heeded |= {"Range", "If-Range"}
    if route.idempotent:
        heeded.add("Idempotency-Key")
    if route.recorded is not None or "call.operator" in source:
        heeded.add("Audit-Reason")
    parameters = operation_of(route).get("parameters", ())
    assert {one["name"] for one in parameters if one["in"] == "header"} == heeded


def test_what_is_answered_beside_the_usual_status_is_listed() -> None:
    paths = DOCUMENT["paths"]
    assert {"200", "201"} <= set(paths["/api/v1/chat/messages"]["post"]["responses"])
    assert {"200", "201"} <= set(paths["/api/v1/psychologists/{id}"]["put"]["responses"])
    ready = paths["/readyz"]["get"]["responses"]
    assert set(ready) == {"200", "503"}
    for response in ready.values():
        shape = response["content"]["application/json"]["schema"]
        for body in ({"status": "draining"}, {"status": "unavailable", "postgresql": "away", "redis": "ok"}):
            assert not list(mismatches(DOCUMENT, shape, body))
