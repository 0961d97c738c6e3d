"""The dialect of Ruang Diri's web app: what it asks for and reads, answered over our own services."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from handlers.dialects.ruangdiri.events import EventSupplement
from handlers.dialects.ruangdiri.routes import routes
from handlers.dialects.ruangdiri.signals import Signals
from handlers.dialects.ruangdiri.sockets import NotificationSockets

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import web

    from handlers.http.gate import Guards
    from handlers.http.routing import Route
    from rdchat.realtime.supplement import EventFacts
    from rdchat.runtime import Runtime


class RuangDiri:
    """The dialect, for one application."""

    beside_failures: Final[Mapping[str, Any]] = {"status": "error"}

    def __init__(self) -> None:
        self._signals = Signals()

    def routes(self, ours: tuple[Route, ...]) -> tuple[Route, ...]:
        """Return our routes, answering more, and those of the dialect."""
        return routes(ours, self._signals)

    def attach(self, app: web.Application, runtime: Runtime, guards: Guards) -> None:
        """Serve the socket of notifications."""
        NotificationSockets(runtime, guards).attach(app)

        async def close(_app: web.Application) -> None:
            await self._signals.close()

        app.on_cleanup.append(close)


def make() -> RuangDiri:
    """Make the dialect for one application."""
    return RuangDiri()


def supplement(facts: EventFacts) -> EventSupplement:
    """Make what adds to the events of one replica."""
    return EventSupplement(facts)
