"""A history of any length, answered as the service answers one."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

_AT = "2026-01-01T00:00:00.000Z"


def answer_history(url: str, session: dict[str, Any], count: int) -> dict[str, Any]:
    """Answer `GET /chat/history` of a session in which `count` messages were written."""
    asked = {
        name: int(values[0]) for name, values in parse_qs(urlsplit(url).query).items() if name != "sessionId"
    }
    last = asked.get("before", count + 1) - 1
    first = asked["after"] + 1 if "after" in asked else max(1, last - asked["limit"] + 1)
    page = [_message(seq, session) for seq in range(first, min(last, first + asked["limit"] - 1) + 1)]
    return {"success": True, "data": {"data": page, "metadata": {"hasNextPage": False}}, "message": ""}


def _message(seq: int, session: dict[str, Any]) -> dict[str, Any]:
    sender = session["client"] if seq % 3 else session["psychologist"]
    return {
        "id": f"00000000-0000-4000-8000-{seq:012d}",
        "sessionId": session["id"],
        "seq": seq,
        "senderId": sender["id"],
        "sender": sender,
        "message": f"pesan {seq} " + "dan seterusnya " * (seq % 13),
        "messageType": "text",
        "isAutomated": False,
        "isRead": True,
        "readAt": _AT,
        "createdAt": _AT,
    }
