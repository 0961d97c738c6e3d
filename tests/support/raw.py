"""HTTP by the byte, for requests that no client library would send."""

from __future__ import annotations

import asyncio
import json
from urllib.parse import urlsplit

from tests.support.service import Reply


async def exchange(base: str, request: bytes, seconds: float = 5.0) -> Reply:
    """Send bytes, and read one answer."""
    address = urlsplit(base)
    async with asyncio.timeout(seconds):
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        try:
            writer.write(request)
            await writer.drain()
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = {
                name.strip().title(): value.strip()
                for name, _, value in (line.partition(":") for line in head[1:] if line)
            }
            body = await reader.readexactly(int(headers.get("Content-Length", "0")))
        finally:
            writer.transport.abort()
    is_json = headers.get("Content-Type", "").startswith("application/json")
    return Reply(int(head[0].split()[1]), json.loads(body) if is_json else body.decode(), headers)


def post(path: str, token: str, body: bytes, *more: str) -> bytes:
    """Write a POST with headers of one's own beside the necessary ones."""
    lines = [
        f"POST /api/v1{path} HTTP/1.1",
        "Host: localhost",
        f"Authorization: Bearer {token}",
        "Content-Type: application/json",
        *more,
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body
