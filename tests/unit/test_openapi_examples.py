"""Every request, every answer and every error of every route has an example, and it is what it should be."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from handlers.http.routing import PREFIX, Route
from handlers.openapi.responses import errors_of
from handlers.server.application import ROUTES, api_document
from rdchat.common.errors import ERRORS, ErrorCode
from tests.support.shapes import mismatches, resolve

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCUMENT = api_document()
_FORMATS = Draft202012Validator.FORMAT_CHECKER

each_route = pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.operation)
each_operation = pytest.mark.parametrize(
    "operation",
    [operation for item in DOCUMENT["paths"].values() for operation in item.values()],
    ids=lambda operation: operation["operationId"],
)


def operation_of(route: Route) -> dict[str, Any]:
    found: dict[str, Any] = DOCUMENT["paths"][PREFIX + route.path][route.method.lower()]
    return found


def faults(schema: dict[str, Any], value: Any) -> list[str]:
    """Return where a value is not what a schema of the document says, and which fields are not described."""
    whole = {**schema, "components": DOCUMENT["components"]}
    found = [one.message for one in Draft202012Validator(whole, format_checker=_FORMATS).iter_errors(value)]
    return found + list(mismatches(DOCUMENT, schema, value))


def errors_shown(route: Route) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """List status, name and value of every example of an error."""
    for status, response in operation_of(route)["responses"].items():
        for content in response["content"].values() if status >= "400" else ():
            for name, example in content.get("examples", {}).items():
                shown = resolve(DOCUMENT, example["$ref"]) if "$ref" in example else example
                yield status, name, shown["value"]


def test_the_document_is_valid_openapi_3_1() -> None:
    assert [str(error) for error in OpenAPIV31SpecValidator(DOCUMENT).iter_errors()] == []
    broken = {**DOCUMENT, "info": {"title": "without a version"}}
    assert list(OpenAPIV31SpecValidator(broken).iter_errors())


@each_operation
def test_every_request_has_an_example_that_is_valid(operation: dict[str, Any]) -> None:
    for content in operation.get("requestBody", {}).get("content", {}).values():
        assert faults(content["schema"], content["example"]) == []


@each_operation
def test_every_parameter_has_an_example_that_is_valid(operation: dict[str, Any]) -> None:
    for parameter in operation.get("parameters", ()):
        schema = parameter["schema"]
        shown = schema.get("example", schema.get("default", next(iter(schema.get("enum", ())), None)))
        assert shown is not None, parameter["name"]
        assert faults(schema, shown) == []


@each_operation
def test_every_answer_has_an_example_that_is_valid(operation: dict[str, Any]) -> None:
    shown = 0
    for status, response in operation["responses"].items():
        for media, content in response["content"].items():
            if "examples" not in content:
                shown += 1
                assert content["example"], f"{status} {media}"
                assert faults(content.get("schema", {}), content["example"]) == [], f"{status} {media}"
    assert shown


@each_route
def test_every_error_of_a_route_is_shown_in_its_envelope(route: Route) -> None:
    seen = set()
    for status, name, value in errors_shown(route):
        code = ErrorCode(name)
        seen.add(code)
        assert faults({"$ref": "#/components/schemas/Error"}, value) == []
        assert (value["code"], str(value["statusCode"]), value["success"]) == (name, status, False)
        assert ("errors" in value) == (code is ErrorCode.VALIDATION_FAILED)
        if code not in {ErrorCode.ILLEGAL_TRANSITION, ErrorCode.TOO_LATE}:
            # These say which state it is in, and until when it was possible.
            assert value["message"] == ERRORS[code][1]
    assert seen == errors_of(route)


@each_route
def test_what_is_wrong_in_an_example_is_a_field_of_the_route(route: Route) -> None:
    (value,) = (value for _, name, value in errors_shown(route) if name == "VALIDATION_FAILED")
    known = {
        field.data_key or name
        for schema in (route.body, route.query)
        if schema is not None
        for name, field in schema().fields.items()
    }
    assert value["errors"]
    assert all(name in known or texts == ["Unknown field."] for name, texts in value["errors"].items())


def test_the_document_is_small_enough_to_be_read_at_once() -> None:
    assert len(json.dumps(DOCUMENT)) < 520_000
