"""What fanning out costs at least: bare aiohttp that passes on messages to all who named the channel.

No credentials, no checks, no ids, no order, no history, no bound on what a slow reader leaves unread.
"""

from __future__ import annotations

import asyncio
import sys
from collections import defaultdict

import orjson
import uvloop
from aiohttp import WSMsgType, web

_ATTACH, _MESSAGE = 10, 15


async def _serve(
    channels: dict[str, list[web.WebSocketResponse]], request: web.Request
) -> web.StreamResponse:
    websocket = web.WebSocketResponse(compress=False)
    await websocket.prepare(request)
    async for frame in websocket:
        if frame.type is not WSMsgType.TEXT:
            break
        message = orjson.loads(frame.data)
        if message["action"] == _ATTACH:
            channels[message["channel"]].append(websocket)
            await websocket.send_str('{"action":11}')
        elif message["action"] == _MESSAGE:
            for subscriber in channels[message["channel"]]:
                await subscriber.send_str(frame.data)
            await websocket.send_str('{"action":1}')
    return websocket


async def _run() -> None:
    channels: dict[str, list[web.WebSocketResponse]] = defaultdict(list)
    application = web.Application()
    application.add_routes([web.get("/", lambda request: _serve(channels, request))])
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1_024).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)  # noqa: T201 - for the process that started it
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    uvloop.run(_run())
