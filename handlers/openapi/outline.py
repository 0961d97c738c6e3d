"""The operations of an OpenAPI document as its page tells of them: who may, with what, what comes back."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlencode

from handlers.openapi.schema_reader import Node, Reader, node

if TYPE_CHECKING:
    from collections.abc import Iterator

FORM: Final = "multipart/form-data"
_METHODS: Final = ("get", "post", "put", "patch", "delete", "head", "options")
_ROLES: Final = re.compile(r"\n*^Roles: ([\w, ]+)\.\s*\Z", re.MULTILINE)
#: How the document writes its errors: the code between backticks, then the sentence that people read.
_ERROR: Final = re.compile(r"`([A-Z_]+)`: (.+?)\.?(?=\s*`[A-Z_]+`: |\s*\Z)")
_FIRST_ERROR_STATUS: Final = 400


@dataclass(frozen=True, slots=True)
class Failure:
    """One error that an operation can answer with."""

    status: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class AnswerOutline:
    """One success: its form, or nothing where it has none that could be told."""

    status: str
    description: str
    media: tuple[str, ...]
    schema: Node


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation. `media` is the form of its body, and empty without one."""

    method: str
    path: str
    anchor: str
    summary: str
    text: str
    tag: str
    roles: tuple[str, ...]
    secured: bool
    parameters: tuple[Node, ...]
    media: str
    body: Node
    answers: tuple[AnswerOutline, ...]
    failures: tuple[Failure, ...]


def outline(document: Node, reader: Reader) -> Iterator[Operation]:
    """List the operations in the order of the document."""
    for path, value in node(document.get("paths")).items():
        item = reader.at(value)
        for method in (method for method in _METHODS if method in item):
            spec = node(item[method])
            # What stands at the path holds for all its operations.
            given = [*item.get("parameters", ()), *spec.get("parameters", ())]
            yield _operation(
                method.upper(),
                path,
                {"security": document.get("security")} | spec | {"parameters": given},
                reader,
            )


def _operation(method: str, path: str, spec: Node, reader: Reader) -> Operation:
    text = str(spec.get("description") or "")
    roles = _ROLES.search(text)
    content = node(reader.at(spec.get("requestBody")).get("content"))
    media = next(iter(content), "")
    name = str(spec.get("operationId") or f"{method} {path}")
    return Operation(
        method=method,
        path=path,
        anchor="op-" + re.sub(r"\W+", "-", name).strip("-"),
        summary=str(spec.get("summary") or path),
        text=_ROLES.sub("", text),
        tag=str(next(iter(spec.get("tags") or ()), "Other")),
        roles=tuple(roles[1].split(", ")) if roles else (),
        secured=bool(spec["security"]),
        parameters=tuple(reader.at(parameter) for parameter in spec["parameters"]),
        media=media,
        body=_schema(content, media),
        answers=tuple(_answers(spec, reader)),
        failures=tuple(_failures(spec, reader)),
    )


def _schema(content: Node, media: str) -> Node:
    return node(node(content.get(media)).get("schema"))


def _answers(spec: Node, reader: Reader) -> Iterator[AnswerOutline]:
    for status, value in node(spec.get("responses")).items():
        if _is_success(status):
            answer = reader.at(value)
            content = node(answer.get("content"))
            schema = _schema(content, next(iter(content), ""))
            yield AnswerOutline(status, str(answer.get("description", "")), tuple(content), schema)


def _failures(spec: Node, reader: Reader) -> Iterator[Failure]:
    for status, value in node(spec.get("responses")).items():
        if not _is_success(status):
            text = str(reader.at(value).get("description", ""))
            # A description in another form is still what the document has to say about this status.
            for code, message in _ERROR.findall(text) or [("", text)]:
                yield Failure(status, code, message)


def _is_success(status: str) -> bool:
    return status.isdecimal() and int(status) < _FIRST_ERROR_STATUS


def curl(operation: Operation, reader: Reader) -> str:
    """Write the command that sends a request. `$RDCHAT` and `$TOKEN` are the reader's shell variables."""
    path, queries = operation.path, {}
    for parameter in operation.parameters:
        name, place = str(parameter.get("name", "")), parameter.get("in")
        value = parameter.get("example") or reader.example(parameter.get("schema"), name)
        if place == "path":
            path = path.replace(f"{{{name}}}", str(value))
        elif place == "query" and parameter.get("required"):
            queries[name] = value
    address = quote(path, safe="/-_.~") + (f"?{urlencode(queries)}" if queries else "")
    method = "" if operation.method == "GET" else f"-X {operation.method} "
    parts = [f'curl {method}"$RDCHAT{address}"']
    if operation.secured:
        parts.append('-H "Authorization: Bearer $TOKEN"')
    if operation.media == FORM:
        parts += [f"-F {_quoted(part)}" for part in _form(operation, reader)]
    elif operation.media:
        parts.append(f"-H {_quoted(f'Content-Type: {operation.media}')}")
        body = reader.example(operation.body, sparse=True)
        parts.append(f"-d {_quoted(json.dumps(body, ensure_ascii=False))}")
    return " \\\n  ".join(parts)


def _form(operation: Operation, reader: Reader) -> Iterator[str]:
    example = node(reader.example(operation.body, sparse=True))
    for name, schema in node(reader.flat(operation.body).get("properties")).items():
        if name in example:
            flat = reader.flat(schema)
            is_file = "contentMediaType" in flat or flat.get("format") == "binary"
            yield f"{name}=@photo.jpg" if is_file else f"{name}={example[name]}"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
