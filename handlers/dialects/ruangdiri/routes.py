"""The table of the dialect: our routes, some answering more, and those that are the web app's alone."""

from __future__ import annotations

from dataclasses import replace
from functools import wraps
from typing import TYPE_CHECKING, Any, Final

from handlers.dialects.ruangdiri import chat, counselings, notifications, psychologists, requests
from handlers.http.routing import Answer, Route
from rdchat.domain import permissions

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from aiohttp import web
    from marshmallow import Schema

    from handlers.dialects.ruangdiri.signals import Signals
    from handlers.http.routing import Call

    Handler = Callable[[Call], Awaitable[Answer | web.StreamResponse]]

_SUCCESS: Final = {"status": "success"}


def routes(ours: tuple[Route, ...], signals: Signals) -> tuple[Route, ...]:
    """Return what is served with the dialect on."""
    signallers = chat.Signallers(signals)
    changed = _changed(signallers)
    kept = [replace(route, **changed.get((route.method, route.path), {})) for route in ours]
    by_path = {(route.method, route.path): route for route in kept}
    return tuple(_with_status(route) for route in (*kept, *_added(by_path, signallers)))


def _changed(signallers: chat.Signallers) -> dict[tuple[str, str], Mapping[str, Any]]:
    """Return what differs in our own routes, by method and path."""
    return {
        ("POST", "/counselings/book"): {
            "handler": counselings.book_counseling,
            "body": requests.AppBookRequest,
        },
        ("PUT", "/counselings/{id}/reschedule"): {"body": requests.AppRescheduleRequest},
        ("GET", "/psychologists"): {
            "handler": psychologists.list_psychologists,
            "query": requests.AppPsychologistsQuery,
        },
        ("GET", "/notifications"): {
            "handler": notifications.list_notifications,
            "query": requests.NotificationsQuery,
        },
        ("GET", "/chat/ably-token"): {"handler": chat.get_ably_token},
        ("GET", "/chat/history"): {"handler": chat.get_history},
        ("POST", "/chat/messages/upload"): {
            "handler": chat.upload_message,
            "body": requests.AppUploadRequest,
        },
        ("GET", "/chat/sessions/active"): {
            "handler": chat.list_active_sessions,
            "query": requests.AppActiveSessionsQuery,
        },
        # One call a key: as often as messages, with which they are counted.
        ("POST", "/chat/typing"): {"handler": signallers.set_typing, "rate": "message"},
    }


def _added(ours: Mapping[tuple[str, str], Route], signallers: chat.Signallers) -> tuple[Route, ...]:
    """Return the routes that are the web app's alone. Some do what ours do, by another path."""
    move, cancel = ours["PUT", "/counselings/{id}/reschedule"], ours["PUT", "/counselings/{id}/cancel"]
    return (
        replace(move, path="/counselings/schedules/{id}/reschedule"),
        replace(cancel, method="POST", path="/counselings/schedules/{id}/cancel"),
        _get("/counselings/schedules/organization", counselings.list_schedules, requests.SchedulesQuery),
        _get("/counselings/schedules/psychologist", counselings.list_schedules, requests.SchedulesQuery),
        _get("/psychologists/availability", psychologists.get_availability, requests.AvailabilityQuery),
        _get("/psychologists/{id}/booked-slots", psychologists.list_booked_slots, requests.BookedSlotsQuery),
        _change(
            "POST",
            "/chat/sessions/counseling",
            counselings.find_session_of_counseling,
            requests.SessionOfCounseling,
        ),
        _get("/chat/histories", chat.list_histories, requests.HistoriesQuery),
        _get("/chat/unread-count/total", chat.count_all_unread),
        _get("/chat/sessions/{id}/unread-count", chat.count_unread),
        _get("/chat/session/{id}/attachments", chat.list_attachments),
        _change(
            "PUT",
            "/chat/sessions/{id}/messages/read",
            chat.read_messages,
            requests.ReadUpToRequest,
            rate="read",
        ),
        _change("PUT", "/chat/sessions/{id}/presence", signallers.set_presence, requests.PresenceRequest),
        _get("/notifications/unread-count", notifications.count_unread_notifications),
        _change(
            "POST",
            "/notifications/mark-as-read",
            notifications.read_some_notifications,
            requests.ReadNotificationsRequest,
        ),
        _change("POST", "/notifications/mark-all-as-read", notifications.read_all_notifications, None),
    )


def _get(path: str, handler: Handler, query: type[Schema] = requests.Lenient) -> Route:
    return _route("GET", path, handler, query=query)


def _change(
    method: str, path: str, handler: Handler, body: type[Schema] | None, *, rate: str = "default"
) -> Route:
    return _route(method, path, handler, body=body, query=requests.Lenient, rate=rate)


def _route(method: str, path: str, handler: Handler, **more: Any) -> Route:  # noqa: ANN401 - a route's fields
    return Route(
        method=method,
        path=path,
        handler=handler,
        # The document describes our own contract alone: no one reads these words.
        summary="",
        tag="",
        done="",
        roles=permissions.EVERYONE_SIGNED_IN,
        **more,
    )


def _with_status(route: Route) -> Route:
    """Have every answer say how it went in the app's words."""
    handler = route.handler

    @wraps(handler)
    async def dressed(call: Call) -> Answer | web.StreamResponse:
        answer = await handler(call)
        if not isinstance(answer, Answer):
            return answer
        return replace(answer, beside=_SUCCESS if answer.beside is None else {**_SUCCESS, **answer.beside})

    return replace(route, handler=dressed)
