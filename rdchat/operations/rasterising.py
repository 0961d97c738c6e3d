"""Has pictures drawn, one at a time, without holding up the timers or filling the machine.

The renderer lets no other thread run, so it is a process of its own: one, which draws what it is given and
ends when it was not asked for a while. Most sessions have gone one of a few ways, and their pictures are the
same: what was drawn is kept.
"""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections import OrderedDict
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

from rdchat.common.errors import UnavailableError
from rdchat.operations import drawing

if TYPE_CHECKING:
    from asyncio.subprocess import Process

log = structlog.get_logger(__name__)

_ROOT: Final = Path(__file__).parents[2]
#: Some 160 KiB each.
_KEPT: Final = 32
#: Pictures that wait to be drawn, a third of a second each. Others are asked to come again.
_WAITING: Final = 8
_RETRY_SECONDS: Final = 3
_PATIENCE_SECONDS: Final = 20.0
#: The process takes some 50 MiB, so it does not stay for nothing.
_IDLE_SECONDS: Final = 30.0


class Rasteriser:
    """Makes PNGs of SVGs."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._drawing: dict[str, asyncio.Task[bytes]] = {}
        self._turn = asyncio.Lock()
        self._process: Process | None = None
        self._ending: asyncio.TimerHandle | None = None
        self._leaving: asyncio.Task[int] | None = None

    @property
    def pid(self) -> int | None:
        """The process that draws, if there is one."""
        return self._process.pid if self._process is not None else None

    @property
    def kept(self) -> int:
        """How many pictures are kept."""
        return len(self._kept)

    async def png(self, svg: str) -> bytes:
        """Draw a picture. Raise UnavailableError when too many others wait, or it takes too long."""
        kept = self._kept.get(svg)
        if kept is not None:
            self._kept.move_to_end(svg)
            return kept
        under_way = self._drawing.get(svg)
        if under_way is None:
            if len(self._drawing) >= _WAITING:
                raise UnavailableError("drawing of pictures", retry_after=_RETRY_SECONDS)
            under_way = self._drawing[svg] = asyncio.create_task(self._draw(svg), name="picture")
            # It may be that no one waits for it any more when it fails.
            under_way.add_done_callback(lambda done: done.cancelled() or done.exception())
        # For all who want it: one who goes away takes it from no one.
        return await asyncio.shield(under_way)

    async def close(self) -> None:
        """Stop drawing."""
        for task in list(self._drawing.values()):
            task.cancel()
            with suppress(asyncio.CancelledError, UnavailableError):
                await task
        await self._end()
        if self._leaving is not None:
            await self._leaving

    async def _draw(self, svg: str) -> bytes:
        try:
            async with self._turn:
                drawn = await self._drawn(svg)
        finally:
            del self._drawing[svg]
        self._kept[svg] = drawn
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return drawn

    async def _drawn(self, svg: str) -> bytes:
        if self._ending is not None:
            self._ending.cancel()
            self._ending = None
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                try:
                    drawn = await self._ask(svg.encode())
                except (EOFError, OSError):
                    # It may have died while it had nothing to do.
                    await self._end()
                    drawn = await self._ask(svg.encode())
        except (TimeoutError, EOFError, OSError) as error:
            log.warning("a picture could not be drawn", why=type(error).__name__)
            await self._end()
            raise UnavailableError("drawing of pictures", retry_after=_RETRY_SECONDS) from error
        except asyncio.CancelledError:
            await self._end()
            raise
        self._ending = asyncio.get_running_loop().call_later(_IDLE_SECONDS, self._end_soon)
        return drawn

    async def _ask(self, svg: bytes) -> bytes:
        process = self._process
        if process is None or process.returncode is not None:
            # Without the environment, which holds the service's secrets.
            process = self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", drawing.__name__),
                cwd=_ROOT,
                env={},
                stdin=PIPE,
                stdout=PIPE,
                stderr=DEVNULL,
            )
        if process.stdin is None or process.stdout is None:  # pragma: no cover - they are pipes
            raise EOFError
        process.stdin.write(drawing.LENGTH.pack(len(svg)) + svg)
        await process.stdin.drain()
        head = await process.stdout.readexactly(drawing.LENGTH.size)
        return await process.stdout.readexactly(*drawing.LENGTH.unpack(head))

    def _end_soon(self) -> None:
        self._ending = None
        if self._process is not None and self._process.stdin is not None and not self._turn.locked():
            # It ends by itself when nothing more can come.
            self._process.stdin.close()
            self._leaving = asyncio.create_task(self._process.wait(), name="a process that drew")
            self._process = None

    async def _end(self) -> None:
        if self._ending is not None:
            self._ending.cancel()
            self._ending = None
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
