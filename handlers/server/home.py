"""`GET /`: where everything is, as a small page for people and as JSON for programs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from aiohttp import web

from handlers.http.json_answers import json_response
from handlers.http.routing import PREFIX
from handlers.openapi.html import Html, code, content_policy, element, escape, joined
from handlers.pages.same_machine import is_near
from rdchat import __version__

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from config import Settings

_PIECES: Final = Path(__file__).resolve().parents[2] / "web" / "home"
_TEMPLATE: Final = (_PIECES / "home.html").read_text(encoding="utf-8")
_STYLE: Final = (_PIECES / "home.css").read_text(encoding="utf-8")
_PLACE: Final = re.compile(r"{{(\w+)}}")
#: Name in JSON, path, name for people, and what is there.
_PLACES: Final = (
    ("app", "/app", "App", "the pages that people use: book, chat, look back"),
    ("documentation", "/docs", "Documentation", "every route and event, with examples to copy"),
    ("openapi", "/openapi.json", "OpenAPI", "the same for programs: the HTTP API"),
    ("asyncapi", "/asyncapi.json", "AsyncAPI", "the same for programs: the realtime events"),
    ("health", "/healthz", "Health", "whether the process lives"),
    ("ready", "/readyz", "Ready", "whether it can serve, and what is missing otherwise"),
    ("metrics", "/metrics", "Metrics", "for Prometheus"),
)
#: What is not for all who reach the service.
_FOR_OPERATORS: Final = frozenset({"documentation", "metrics"})
_FROM_PROVIDER: Final = "Tokens come from the identity provider that this service was given."
_COMMAND: Final = '.venv/bin/python run.py token --role client --name "Budi"'
_HEADERS: Final = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": f"{content_policy(style=_STYLE)}; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Vary": "Accept",
}


def show_home(settings: Settings) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Make the handler of `GET /`."""
    shown = {near: (facts(settings, near=near), page(settings, near=near)) for near in (True, False)}

    async def home(request: web.Request) -> web.Response:
        in_json, for_people = shown[is_near(request)]
        if "text/html" in request.headers.get("Accept", ""):
            return web.Response(text=for_people, headers=_HEADERS)
        answer = json_response(in_json)
        answer.headers["Vary"] = "Accept"
        return answer

    return home


def facts(settings: Settings, *, near: bool) -> dict[str, str]:
    """Return what programs are told; `near`: those on this machine."""
    command = _command(settings)
    return {
        "name": "rdchat",
        "version": __version__,
        "api": settings.base_url + PREFIX,
        **{name: where for name, where, _, _ in _places(settings, near=near)},
        "tokens": _FROM_PROVIDER if command is None else f"In the service's folder: {command}",
    }


def page(settings: Settings, *, near: bool = True) -> str:
    """Render the page for people; `near`: those on this machine."""
    base_url = settings.base_url
    rows = [
        joined((element("dt", element("a", title, href=where)), element("dd", about)))
        for _, where, title, about in _places(settings, near=near)
    ]
    rows.append(joined((element("dt", "API"), element("dd", code(base_url + PREFIX)))))
    pieces: Mapping[str, Html] = {
        "style": Html(_STYLE),
        "version": escape(__version__),
        "links": joined(rows, "\n"),
        "tokens": _tokens(base_url, _command(settings)),
    }
    return _PLACE.sub(lambda place: pieces[place[1]], _TEMPLATE)


def _places(settings: Settings, *, near: bool) -> Iterable[tuple[str, str, str, str]]:
    """List what is there, with addresses: of the pages, and of what is for operators, what one can open."""
    for name, path, title, about in _PLACES:
        if name == "app" and settings.sign_in == "off":
            continue
        if name not in _FOR_OPERATORS:
            yield name, settings.base_url + path, title, about
        elif near:
            yield name, settings.operations_url + path, title, about


def _command(settings: Settings) -> str | None:
    """Return what makes a token, where a shared secret is all that it takes."""
    return _COMMAND if settings.jwt_secret is not None else None


def _tokens(base_url: str, command: str | None) -> Html:
    if command is None:
        return element("p", _FROM_PROVIDER)
    call = f'curl -H "Authorization: Bearer $TOKEN" {base_url}{PREFIX}/counselings'
    lines = f"TOKEN=$({command})\n{call}"
    return joined(
        (
            element("p", "In development the service's command line makes one. In its folder:"),
            element("pre", element("code", lines), tabindex="0", aria_label="How to get a token"),
        )
    )
