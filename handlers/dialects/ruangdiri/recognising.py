"""Telling the web app from other callers, for the few answers that cannot serve both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from handlers.http.routing import Call

#: A page of another origin always has the first, and the app sends the second with every request.
_MARKS: Final = ("Origin", "ngrok-skip-browser-warning")


def is_app(call: Call) -> bool:
    """Tell whether a call comes from the web app, or from a page of another origin like it.

    Programs, and the pages at `/app`, get our own contract unchanged.
    """
    return any(mark in call.headers for mark in _MARKS)
