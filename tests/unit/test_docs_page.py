"""The page at /docs: it says all that the document says, loads nothing from elsewhere, and is sound HTML."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import re
import shlex
from html.parser import HTMLParser
from typing import Any

import pytest

from handlers.openapi.html import Html, element, json_text, prose
from handlers.openapi.outline import Operation, curl, outline
from handlers.openapi.page import render
from handlers.openapi.schema_reader import Reader
from handlers.server.application import ROUTES, api_document

VOID = {"meta", "link", "input", "br", "img", "wbr", "hr"}
#: Attributes that make a browser fetch something as soon as it sees them.
FETCHED = {"src", "srcset", "poster", "data", "background", "action", "formaction", "ping"}
BASE_URL = "https://chat.example/rdchat"
DOCUMENT = api_document(BASE_URL)
EVIL = "<script>alert(1)</script>\"'&{{script}}"


class Page(HTMLParser):
    """Reads a page; fails at the first tag that does not close the one that is open."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.raw: dict[str, str] = {}
        self.words: list[str] = []
        self.headings: list[int] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), (tag, attrs)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, tag
        assert self.open.pop() == tag, self.getpos()

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in {"script", "style"}:
            self.raw[self.open[-1]] = self.raw.get(self.open[-1], "") + data
        else:
            self.words.append(data)

    @property
    def text(self) -> str:
        return "".join(self.words)

    def values(self, attribute: str) -> list[str]:
        return [value for _, name, value in self.attributes if name == attribute]


def page(document: dict[str, Any] | None = None) -> Page:
    return Page(render(DOCUMENT if document is None else document))


def with_operation(method: str = "get", path: str = "/things", **operation: Any) -> dict[str, Any]:
    return {"paths": {path: {method: operation}}}


def command(document: dict[str, Any]) -> list[str]:
    reader = Reader(document)
    (operation,) = outline(document, reader)
    return shlex.split(curl(operation, reader).replace("\\\n", ""))


def operations(document: dict[str, Any]) -> list[Operation]:
    return list(outline(document, Reader(document)))


# ---- everything is there ----------------------------------------------------------------------------------


def test_every_operation_is_in_the_text_and_in_the_menu() -> None:
    shown = page()
    articles = [value for tag, name, value in shown.attributes if (tag, name) == ("article", "id")]
    listed = [(path, spec) for path, item in DOCUMENT["paths"].items() for spec in item.values()]
    assert len(articles) == len(listed) > 15
    for path, spec in listed:
        assert path in shown.text
        assert spec["summary"] in shown.text
        assert f"op-{spec['operationId']}" in articles
        assert f"#op-{spec['operationId']}" in shown.values("href")


def test_every_error_code_of_the_document_is_on_the_page_with_its_operation() -> None:
    codes = set(re.findall(r"`([A-Z_]+)`: ", json.dumps(DOCUMENT["paths"])))
    assert len(codes) > 5
    read = {
        failure.code for operation in operations(DOCUMENT) for failure in operation.failures if failure.code
    }
    assert read == codes
    text = page().text
    assert all(code in text for code in codes)


def test_every_field_and_every_limit_of_a_body_is_on_the_page() -> None:
    text = page().text
    fields = [
        one
        for name, schema in DOCUMENT["components"]["schemas"].items()
        if name.endswith("Request")
        for one in schema["properties"].items()
    ]
    choices = [value for _, sub in fields for value in sub.get("enum", ()) if value is not None]
    assert len(fields) > 15
    assert len(choices) > 5
    for shown in (*(field for field, _ in fields), *choices):
        assert str(shown) in text, shown
    assert "1 to 4,096 characters" in text


def test_roles_are_told_and_what_needs_no_token_says_so() -> None:
    document = with_operation(description="Does it.\n\nRoles: client, super_admin.")
    document["security"] = [{"bearer": []}]
    document["paths"]["/open"] = {"get": {"security": []}}
    closed, free = operations(document)
    assert (closed.roles, closed.text, closed.secured) == (("client", "super_admin"), "Does it.", True)
    assert not free.secured
    assert "everyone, without a token" in page(document).text


# ---- nothing comes from elsewhere -------------------------------------------------------------------------


def test_nothing_is_loaded_from_elsewhere() -> None:
    shown = page()
    for tag, name, value in shown.attributes:
        if name in FETCHED or (tag, name) == ("link", "href"):
            assert value.startswith("data:"), (tag, name, value)
        if name == "href":
            assert value.startswith(("#", f"{BASE_URL}/", "data:")), (tag, value)
            assert not value.startswith("//")
        # A policy without 'unsafe-inline' would drop these.
        assert name != "style"
        assert not name.startswith("on")
    assert "url(" not in shown.raw["style"]
    assert "@import" not in shown.raw["style"]
    assert "://" not in shown.raw["script"]


def test_the_policy_allows_the_pages_own_style_and_script_and_nothing_else() -> None:
    shown = page()
    (policy,) = (value for value in shown.values("content") if "default-src" in value)
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    for kind in ("style", "script"):
        digest = base64.b64encode(hashlib.sha256(shown.raw[kind].encode()).digest()).decode()
        assert rules[f"{kind}-src"] == f"'sha256-{digest}'"


# ---- text is escaped --------------------------------------------------------------------------------------


def poisoned(value: Any, *, named: bool = False) -> Any:
    """Put something harmful into every text of a document, and into the names of paths and fields."""
    if isinstance(value, dict):
        return {
            f"{key}{EVIL}" if named else key: poisoned(sub, named=key in {"paths", "properties"})
            for key, sub in value.items()
        }
    if isinstance(value, list):
        return [poisoned(sub) for sub in value]
    if isinstance(value, str) and not value.startswith("#/"):
        return f"{value}{EVIL}"
    return value


def test_texts_of_the_document_stay_texts() -> None:
    html = render(poisoned(DOCUMENT))
    assert html.count("<script>") == render(DOCUMENT).count("<script>") == 1
    assert "alert(1)" in html
    shown = Page(html)
    assert "alert" not in shown.raw["script"]
    assert EVIL in shown.text


def test_html_is_escaped_unless_it_is_html() -> None:
    assert element("b", "<i>", Html("<br>"), title='"') == '<b title="&quot;">&lt;i&gt;<br></b>'
    assert element("td", 3, data_fill=None, class_="x") == '<td class="x">3</td>'
    assert prose("One `<b>`.\n\nTwo") == "<p>One <code>&lt;b&gt;</code>.</p><p>Two</p>"


@pytest.mark.parametrize("value", [{"a": ['x"y\\', -1.5e10, None, True, "<&>"], "b:c": {}}, [], "text", None])
def test_coloured_json_is_still_the_same_json(value: Any) -> None:
    assert json.loads("".join(Page(json_text(value)).words)) == value


# ---- documents of every form ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"openapi": "3.1.0", "info": {"title": "x", "version": "1"}, "paths": {}},
        {"paths": {"/x": {"get": {}}}, "components": {}},
        with_operation("post", requestBody={"content": {}}, responses={"default": {}, "204": {}}),
        with_operation(responses={"200": {"content": {"image/png": {}, "text/plain": {}}}}),
        with_operation(parameters=[{"$ref": "#/components/parameters/none"}]),
        with_operation(responses={"418": {"description": "Short and stout."}}),
    ],
)
def test_sparse_documents_are_rendered_too(document: dict[str, Any]) -> None:
    assert page(document).text.strip()


def test_an_error_without_code_is_shown_as_it_is_described() -> None:
    (operation,) = operations(with_operation(responses={"418": {"description": "Short. And stout."}}))
    assert [(failure.code, failure.message) for failure in operation.failures] == [("", "Short. And stout.")]


def test_schemas_that_contain_themselves_end() -> None:
    tree = {"type": "object", "properties": {"down": {"$ref": "#/components/schemas/Tree"}}}
    loop = {"$ref": "#/components/schemas/Loop"}
    document = with_operation(
        responses={
            "200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Tree"}}}}
        }
    )
    document["components"] = {"schemas": {"Tree": tree, "Loop": loop, "Error": loop}}
    assert "down" in page(document).text


def test_headings_leave_no_level_out() -> None:
    # The menu comes first and has its own, so only the text below it is looked at.
    levels = page().headings
    levels = levels[levels.index(1) :]
    assert levels.count(1) == 1
    assert max(levels) > 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))


def test_ids_are_unique_and_links_lead_somewhere() -> None:
    shown = page()
    ids = shown.values("id")
    assert len(ids) == len(set(ids))
    for href in shown.values("href"):
        assert not href.startswith("#") or href[1:] in ids
    for name in ("for", "aria-labelledby", "aria-describedby"):
        assert set(shown.values(name)) <= set(ids)


# ---- examples ---------------------------------------------------------------------------------------------


def test_an_example_has_the_form_of_its_schema_and_prefers_what_the_document_says() -> None:
    schema = {
        "type": "object",
        "required": ["id", "count", "items"],
        "properties": {
            "id": {"type": "string", "format": "uuid"},
            "count": {"type": "integer", "minimum": 3},
            "said": {"type": "string", "example": "Halo"},
            "chosen": {"type": ["string", "null"], "default": None, "enum": ["one", "two", None]},
            "note": {"type": ["string", "null"], "default": None},
            "items": {"type": "array", "items": {"anyOf": [{"type": "null"}, {"type": "boolean"}]}},
            "map": {"type": "object", "additionalProperties": {"type": "string", "format": "date"}},
        },
    }
    reader = Reader({})
    full = reader.example(schema)
    assert isinstance(full, dict)
    assert full | {"id": ""} == {
        "id": "",
        "count": 3,
        "said": "Halo",
        "chosen": "one",
        "note": "text",
        "items": [True],
        "map": {"name": "2026-11-22"},
    }
    sparse = reader.example(schema, sparse=True)
    assert isinstance(sparse, dict)
    # Optional fields that would have to be made up are left out, so that the request can be sent as it is.
    assert list(sparse) == ["id", "count", "said", "chosen", "items"]


def test_fields_say_where_they_are_and_what_they_may_hold() -> None:
    schema = {
        "type": "object",
        "required": ["list"],
        "properties": {
            "list": {"type": "array", "items": {"type": "object", "properties": {"a": {"enum": ["x", "y"]}}}},
            "n": {"type": ["integer", "null"], "maximum": 5000, "default": 20, "description": "How many."},
        },
    }
    rows = list(Reader({}).fields(schema))
    assert [(row.parent, row.name, row.depth, row.type, row.required) for row in rows] == [
        ("", "list", 0, "array of object", True),
        ("list[]", "a", 1, "string", False),
        ("", "n", 0, "integer or null", False),
    ]
    assert rows[1].limits == (("one of", ("x", "y")),)
    assert rows[2].limits == (("at most 5,000", ()), ("default", ("20",)))
    assert rows[2].description == "How many."


def test_a_curl_line_sends_what_the_operation_needs() -> None:
    document = with_operation(
        "put",
        "/things/{id}",
        parameters=[
            {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "example": "a b$c"}},
            {"name": "must", "in": "query", "required": True, "schema": {"type": "string", "example": "ä&"}},
            {"name": "may", "in": "query", "schema": {"type": "string"}},
        ],
        requestBody={"content": {"application/json": {"schema": {"example": {"said": "it's $HOME"}}}}},
        security=[{"bearer": []}],
    )
    *start, header, token, kind, media, flag, body = command(document)
    assert start == ["curl", "-X", "PUT", "$RDCHAT/things/a%20b%24c?must=%C3%A4%26"]
    assert [header, token, kind, media] == [
        "-H",
        "Authorization: Bearer $TOKEN",
        "-H",
        "Content-Type: application/json",
    ]
    assert (flag, json.loads(body)) == ("-d", {"said": "it's $HOME"})


def test_a_curl_line_sends_files_as_a_form() -> None:
    schema = {
        "type": "object",
        "required": ["file", "sessionId"],
        "properties": {
            "sessionId": {"type": "string", "example": "s1"},
            "file": {"type": "string", "format": "binary"},
            "message": {"type": "string"},
        },
    }
    document = with_operation("post", requestBody={"content": {"multipart/form-data": {"schema": schema}}})
    assert command(document) == [
        *("curl", "-X", "POST", "$RDCHAT/things", "-F", "sessionId=s1", "-F", "file=@photo.jpg")
    ]
    assert "photo.jpg" in page(document).text


def test_examples_of_the_service_are_loaded_by_its_own_schemas() -> None:
    reader = Reader(DOCUMENT)
    bodies = {(each.method, each.path): each.body for each in operations(DOCUMENT) if each.body}
    checked = [route for route in ROUTES if route.body is not None]
    assert checked
    for route in checked:
        assert route.body is not None
        example = reader.example(bodies[route.method, f"/api/v1{route.path}"], sparse=True)
        assert isinstance(example, dict)
        route.body().load(example)
