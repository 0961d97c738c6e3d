"""The floor: bare aiohttp that reads the same request and answers in the same form, and does nothing else."""

from __future__ import annotations

import asyncio
import signal
import sys
from uuid import uuid4

import uvloop
from aiohttp import web


async def _answer(request: web.Request) -> web.Response:
    body = await request.json()
    data = {
        "id": str(uuid4()),
        "sessionId": body["sessionId"],
        "message": body["message"],
        "messageType": body["messageType"],
        "clientMessageId": body["clientMessageId"],
    }
    return web.json_response({"success": True, "data": data, "message": "Message sent"}, status=201)


async def _serve() -> None:
    app = web.Application()
    app.router.add_post("/api/v1/chat/messages", _answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    sys.stdout.write(f"serving on http://127.0.0.1:{runner.addresses[0][1]}\n")
    sys.stdout.flush()
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    await ended.wait()
    await runner.cleanup()


if __name__ == "__main__":
    uvloop.run(_serve())
