"""The API's documents are written when they are first asked for, once, and again after a fault."""

from __future__ import annotations

import asyncio

import pytest

from handlers.server.health import Documents


async def test_many_who_ask_first_are_given_what_is_written_once() -> None:
    written: list[int] = []

    def write() -> dict[str, bytes]:
        written.append(1)
        return {"/docs": b"page", "/openapi.json": b"{}"}

    documents = Documents(write)
    assert written == []
    asked = [documents.read(path) for path in ("/docs", "/openapi.json") * 5]
    assert await asyncio.gather(*asked) == [b"page", b"{}"] * 5
    assert await documents.read("/docs") == b"page"
    assert written == [1]


async def test_one_who_leaves_leaves_it_to_the_others() -> None:
    documents = Documents(lambda: {"/docs": b"page"})
    gone = asyncio.create_task(documents.read("/docs"))
    await asyncio.sleep(0)
    gone.cancel()
    assert await documents.read("/docs") == b"page"


async def test_after_a_fault_they_are_written_again() -> None:
    faults = [ValueError("a fault of ours")]

    def write() -> dict[str, bytes]:
        if faults:
            raise faults.pop()
        return {"/docs": b"page"}

    documents = Documents(write)
    with pytest.raises(ValueError, match="a fault of ours"):
        await documents.read("/docs")
    assert await documents.read("/docs") == b"page"
