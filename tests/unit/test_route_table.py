"""Finding what serves a request: what is written as routes are, and nothing else."""

from __future__ import annotations

import pytest

from handlers.http.route_table import RouteTable
from handlers.server.application import ROUTES


@pytest.fixture
def table() -> RouteTable[str]:
    made = RouteTable[str]()
    for method, path in (
        ("GET", "/api/things"),
        ("POST", "/api/things/book"),
        ("GET", "/api/things/{id}"),
        ("PUT", "/api/things/{id}/parts/{part}"),
    ):
        made.add(method, path, f"{method} {path}")
    return made


def test_a_path_is_found_with_the_texts_that_it_names(table: RouteTable[str]) -> None:
    assert table.find("GET", "/api/things") == ("GET /api/things", {})
    assert table.find("GET", "/api/things?page=2") == ("GET /api/things", {})
    assert table.find("GET", "/api/things/7") == ("GET /api/things/{id}", {"id": "7"})
    assert table.find("GET", "/api/things/7?x=%20#") is None
    assert table.find("PUT", "/api/things/7/parts/8") == (
        "PUT /api/things/{id}/parts/{part}",
        {"id": "7", "part": "8"},
    )


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("POST", "/api/things"),
        ("HEAD", "/api/things"),
        ("GET", "/api/things/"),
        ("GET", "/api//things"),
        ("GET", "//api/things"),
        ("GET", "/api/things/%37"),
        ("GET", "/api/things/7#part"),
        ("GET", "http://localhost/api/things"),
        ("GET", "*"),
        ("GET", ""),
        ("PUT", "/api/things/7/parts"),
        ("PUT", "/api/things/7/parts/8/9"),
    ],
)
def test_what_is_written_otherwise_is_left_to_the_router(
    table: RouteTable[str], method: str, target: str
) -> None:
    assert table.find(method, target) is None


def test_a_name_is_no_id(table: RouteTable[str]) -> None:
    # GET /api/things/book is no request for the thing with the id `book`.
    assert table.find("POST", "/api/things/book") == ("POST /api/things/book", {})
    assert table.find("GET", "/api/things/book") is None


def test_two_names_for_one_place_are_refused(table: RouteTable[str]) -> None:
    with pytest.raises(ValueError, match="number"):
        table.add("GET", "/api/things/{number}/all", "")


def test_every_route_is_found_by_its_own_path() -> None:
    table = RouteTable[str]()
    for route in ROUTES:
        table.add(route.method, route.path, route.operation)
    for route in ROUTES:
        found = table.find(route.method, route.path.replace("{id}", "5f0b"))
        assert found is not None
        assert found[0] == route.operation
