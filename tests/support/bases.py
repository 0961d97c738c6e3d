"""A valid request for every route, from which tests make others: with one thing wrong, or by another person.

A route that is not in `BASES` fails the tests that walk the route table.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import aiohttp

from tests.support.soon import in_days

if TYPE_CHECKING:
    from handlers.http.routing import Route


@dataclass(frozen=True, kw_only=True)
class Base:
    """What a route is given beside its path. `{...}` in texts names an id, see `ids` of `request_of`.

    `id`: what the path's `{id}` is. `files`: parts of a form, by name: file name, media type, content; `body`
    then holds the form's other parts.
    """

    id: str = ""
    params: dict[str, str] = field(default_factory=dict)
    body: dict[str, Any] | None = None
    files: dict[str, tuple[str, str, bytes]] = field(default_factory=dict)


_SESSION = {"sessionId": "{session}"}
BASES = {
    "book_counseling": Base(
        body={
            "method": "online",
            "date": f"{in_days(30):%Y-%m-%d}",
            "startTime": "14:00",
            "endTime": "15:00",
        }
    ),
    "list_counselings": Base(),
    "reschedule_counseling": Base(
        id="{counseling}",
        body={"date": f"{in_days(31):%Y-%m-%d}", "startTime": "14:00", "endTime": "15:00"},
    ),
    # No one's: a base must not change who takes part in what the other requests are about.
    "reassign_counseling": Base(id="{counseling}", body={"psychologistId": "{psychologist}"}),
    "get_counseling": Base(id="{counseling}"),
    "cancel_counseling": Base(id="{counseling}", body={"reason": "Sakit"}),
    "put_calendar_link": Base(),
    "delete_calendar_link": Base(),
    "get_calendar": Base(params={"token": "x"}),
    "get_ably_token": Base(params=_SESSION),
    "send_message": Base(body={**_SESSION, "message": "Halo"}),
    "get_history": Base(params=_SESSION),
    "get_unread": Base(),
    "upload_message": Base(body=_SESSION, files={"file": ("catatan.txt", "text/plain", b"Catatan")}),
    "get_attachment": Base(id="{attachment}"),
    "download_attachment": Base(id="{attachment}", params={"token": "x"}),
    "set_typing": Base(body={**_SESSION, "isTyping": True}),
    "list_sessions": Base(),
    "list_active_sessions": Base(),
    "get_session": Base(id="{session}"),
    "end_session": Base(id="{session}"),
    "extend_session": Base(id="{session}", body={"minutes": 1}),
    "read_session": Base(id="{session}", body={"upToSeq": 1}),
    "get_transcript": Base(id="{session}"),
    "list_notifications": Base(),
    "read_all_notifications": Base(),
    "read_notification": Base(id="{notification}"),
    "get_timeline": Base(id="{session}"),
    "list_readers": Base(id="{session}"),
    "get_diagram": Base(id="{session}"),
    "get_organization": Base(),
    "list_crisis_contacts": Base(),
    "list_psychologists": Base(),
    "get_psychologist": Base(id="{psychologist}"),
    "get_availability": Base(id="{psychologist}"),
    "put_availability": Base(
        id="{psychologist}",
        body={
            "weekly": [{"weekday": day, "startTime": "00:00", "endTime": "00:00"} for day in range(1, 8)],
            "exceptions": [{"date": f"{in_days(90):%Y-%m-%d}", "isAvailable": False}],
        },
    ),
    "list_all_slots": Base(params={"from": f"{in_days(30):%Y-%m-%d}", "to": f"{in_days(31):%Y-%m-%d}"}),
    "list_slots": Base(id="{psychologist}", params={"date": f"{in_days(30):%Y-%m-%d}"}),
    "get_report": Base(params={"from": f"{in_days(0):%Y-%m-%d}", "to": f"{in_days(60):%Y-%m-%d}"}),
    "list_quick_replies": Base(),
    "create_quick_reply": Base(body={"title": "Salam", "text": "Halo, apa kabar?"}),
    "put_quick_reply": Base(id="{quick_reply}", body={"title": "Salam", "text": "Halo!", "position": 1}),
    "delete_quick_reply": Base(id="{quick_reply}"),
    "get_client_notes": Base(id="{client}"),
    "put_client_notes": Base(id="{client}", body={"text": "Tidur membaik."}),
    "get_overview": Base(),
    "list_dead_letters": Base(),
    "retry_dead_letters": Base(body={"subjectId": "{session}"}),
    "drop_dead_letters": Base(body={"subjectId": "{session}", "kind": "end_warning"}),
    "list_dead_webhooks": Base(),
    "retry_dead_webhooks": Base(body={}),
    "list_operator_actions": Base(),
    "list_audit": Base(),
    "put_person": Base(id="{person}", body={"isActive": False}),
    "revoke_tokens": Base(id="{person}"),
    "export_person": Base(id="{client}"),
    "erase_person": Base(id="{person}", body={"reason": "Diminta"}),
    "hold_person": Base(id="{client}", body={"isHeld": False, "reason": "Perkara selesai"}),
    "hold_session": Base(id="{session}", body={"isHeld": True, "reason": "Perkara"}),
    "put_psychologist": Base(id="{psychologist}", body={"fullName": "Dokter Rahasia"}),
}


class _Anything(dict[str, str]):
    """Return the id of no one for any name."""

    def __missing__(self, name: str) -> str:
        return str(uuid4())


def request_of(route: Route, ids: dict[str, str] | None = None) -> tuple[str, dict[str, Any]]:
    """Make the path of a valid request, and what else aiohttp's client is to be given.

    Without `ids`, they are those of no one.
    """
    base = base_of(route)
    known = _Anything(ids or {})
    path = route.path.replace("{id}", base.id.format_map(known))
    options: dict[str, Any] = {"params": _filled(base.params, known)}
    if base.files:
        options["data"] = form(_filled(base.body or {}, known), base.files)
    elif base.body is not None:
        options["json"] = _filled(base.body, known)
    return path, options


def base_of(route: Route) -> Base:
    """Find the base of a route."""
    assert route.operation in BASES, f"{route.operation} needs a valid request in tests/support/bases.py"
    return BASES[route.operation]


def form(parts: dict[str, Any], files: dict[str, tuple[str, str, bytes]]) -> aiohttp.FormData:
    """Make a form."""
    made = aiohttp.FormData(default_to_multipart=True)
    for name, value in parts.items():
        made.add_field(name, str(value))
    for name, (file_name, media, content) in files.items():
        made.add_field(name, content, filename=file_name, content_type=media)
    return made


def _filled(value: Any, ids: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: _filled(one, ids) for name, one in value.items()}
    if isinstance(value, list):
        return [_filled(one, ids) for one in value]
    return value.format_map(ids) if isinstance(value, str) else value
