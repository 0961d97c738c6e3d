"""What the sandbox prints: a shell script; each line can be pasted alone, behind those that set names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rdchat.local.demo.appointment import HOME_NAME, clock_time

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

#: The lines between these two are the script.
BEGIN: Final = "# ---- paste from here ----"
END: Final = "# ---- to here ----"
#: What a line needs to have happened before.
WHEN_OPEN: Final = "# once the chat is open:"
#: A later instant, in a way that Linux and macOS both know.
_IN_SECONDS: Final = (
    'in_seconds() { python3 -c "import datetime as d; print((d.datetime.now(d.timezone.utc)'
    " + d.timedelta(seconds=$1)).strftime('%Y-%m-%dT%H:%M:%SZ'))\"; }"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What there is: addresses, tokens by the names that the script gives them, and the session."""

    address: str
    realtime: str
    tokens: Mapping[str, str]
    session_id: str
    counseling_id: str
    starts_at: datetime
    ends_at: datetime
    first_message_at: datetime
    warned_at: datetime
    lasts: timedelta


def script(scene: Scene) -> str:
    """Write it."""
    seconds = round(scene.lasts.total_seconds())
    again = (
        '{\\"method\\": \\"chat\\", \\"startsAt\\": \\"$(in_seconds 45)\\", '
        f'\\"endsAt\\": \\"$(in_seconds {45 + seconds})\\"}}'
    )
    said = '{\\"sessionId\\": \\"$SESSION\\", \\"message\\": \\"%s\\"}'
    lines = [
        "",
        f"API             {scene.address}/api/v1",
        f"Documentation   {scene.address}/docs   types: {scene.address}/openapi.json",
        f"Realtime        {scene.realtime}, as Ably: GET /chat/ably-token tells clients how to connect",
        f"Session         {scene.session_id}",
        f"                {_course(scene)}",
        "",
        BEGIN,
        f"API={scene.address}/api/v1",
        f"SESSION={scene.session_id}",
        f"COUNSELING={scene.counseling_id}",
        *(f"{name}={token}" for name, token in scene.tokens.items()),
        _IN_SECONDS,
        "# Budi is the client, Sari the psychologist, the third one administers.",
        _curl("BUDI", "/chat/sessions/$SESSION"),
        _curl("BUDI", "/chat/sessions?order=activity"),
        _curl("SARI", "/counselings/$COUNSELING"),
        _curl("BUDI", "/chat/ably-token?sessionId=$SESSION"),
        _curl("BUDI", "/slots?from=$(in_seconds 86400 | cut -c1-10)&to=$(in_seconds 172800 | cut -c1-10)"),
        _curl("ADMIN", "/psychologists"),
        _curl("SARI", "/notifications"),
        "# another session, that starts in 45 seconds:",
        _curl("BUDI", "/counselings/book", again),
        WHEN_OPEN,
        _curl("BUDI", "/chat/messages", said % "Halo, Dok."),
        _curl("SARI", "/chat/messages", said % "Halo, Budi. Apa kabar?"),
        _curl("BUDI", "/chat/history?sessionId=$SESSION"),
        END,
        "",
        "Ctrl-C stops it, and nothing is left of it.",
    ]
    return "\n".join(lines)


def _curl(who: str, path: str, body: str | None = None) -> str:
    sent = "" if body is None else f" -H 'Content-Type: application/json' -d \"{body}\""
    return f'curl -sS -H "Authorization: Bearer ${who}"{sent} "$API{path}"; echo'


def _course(scene: Scene) -> str:
    steps = {
        "first message": scene.first_message_at,
        "opens": scene.starts_at,
        "end warning": scene.warned_at,
        "ends": scene.ends_at,
    }
    return f"{', '.join(f'{what} {clock_time(at)}' for what, at in steps.items())} {HOME_NAME}"
