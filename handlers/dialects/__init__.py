"""Dialects: contracts of other programs, answered beside our own. Off unless one is set.

A dialect changes the table of routes and adds to it, puts something beside the data of answers, adds to the
events that are published, and may serve what is no route. See docs/dialects.md.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import web

    from config import Settings
    from handlers.http.gate import Guards
    from handlers.http.routing import Route
    from rdchat.realtime.supplement import EventFacts, MakeSupplement, Supplement
    from rdchat.runtime import Runtime

_MODULES: Final = {"ruangdiri": "handlers.dialects.ruangdiri"}


class Dialect(Protocol):
    """Another contract, of one application."""

    #: What is put into the body of every error.
    beside_failures: Mapping[str, Any]

    def routes(self, ours: tuple[Route, ...]) -> tuple[Route, ...]:
        """Return the routes that are served: ours, perhaps answering more, and its own."""
        ...

    def attach(self, app: web.Application, runtime: Runtime, guards: Guards) -> None:
        """Put into an application what is no route."""
        ...


class _Module(Protocol):
    """What the package of a dialect has."""

    def make(self) -> Dialect:
        """Make it for one application."""
        ...

    def supplement(self, facts: EventFacts) -> Supplement:
        """Make what adds to the events of one replica."""
        ...


def find(name: str | None) -> Dialect | None:
    """Make the dialect that is set; None for none. What it needs is imported only then."""
    return _module(name).make() if name is not None else None


def supplement_of(settings: Settings) -> MakeSupplement | None:
    """Return what makes the supplement of the dialect that is set; None for none."""
    return _module(settings.dialect).supplement if settings.dialect is not None else None


def _module(name: str) -> _Module:
    return cast("_Module", import_module(_MODULES[name]))
