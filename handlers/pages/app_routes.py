"""`GET /app` and all below it: the page for every path, and what it loads."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from aiohttp import web

from handlers.api.entity_tags import names
from handlers.http.compression import accepts_gzip
from handlers.openapi.html import Html, code, element, joined
from handlers.pages.app_html import render
from handlers.pages.app_policy import realtime_sources
from handlers.pages.sign_in import register_sign_in
from handlers.pages.static_files import WEB, StaticFile, StaticFiles, pack, read_static_files
from handlers.pages.vendored import COMMAND, MissingPackagesError
from rdchat.common.errors import ErrorCode, RdchatError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from rdchat.runtime import Runtime

#: A year. The hash in the address is another one as soon as anything is.
_FOR_GOOD: Final = "public, max-age=31536000, immutable"
_OFF: Final = (
    "These pages are off: this service does not know where people sign in. With an identity provider of your "
    "own, set RDCHAT_OIDC_AUTHORITY and RDCHAT_OIDC_CLIENT_ID beside RDCHAT_JWT_JWKS_URL."
)


@dataclass(frozen=True, slots=True)
class _Made:
    page: StaticFile
    policy: str
    files: StaticFiles


class AppPages:
    """The page and its files, made when first asked for, beside the event loop, and kept.

    What lacks its packages is looked at again by the next who ask, so that installing them is enough.
    """

    def __init__(self, make: Callable[[], _Made]) -> None:
        self._make = make
        self._made: asyncio.Task[_Made] | None = None

    async def get(self) -> _Made:
        """Return them. Raise MissingPackagesError."""
        if self._made is None or (self._made.done() and self._made.exception() is not None):
            self._made = asyncio.create_task(asyncio.to_thread(self._make), name="pages")
        return await asyncio.shield(self._made)


def register_app(app: web.Application, runtime: Runtime) -> None:
    """Put the routes into an application."""

    async def unknown(_request: web.Request) -> web.StreamResponse:
        raise RdchatError(ErrorCode.NOT_FOUND)

    if runtime.settings.sign_in == "people":
        register_sign_in(app, runtime)
    else:
        app.router.add_route("*", "/app/people", unknown)
        for path in ("/app/sign-in", "/app/rehearsal"):
            app.router.add_post(path, unknown)
    if runtime.settings.sign_in == "off":
        off = _plain_page(HTTPStatus.NOT_FOUND, element("p", _OFF))
        app.router.add_get("/app", off)
        app.router.add_get("/app/{path:.*}", off)
        return
    pages = AppPages(lambda: _make(runtime))

    async def page(request: web.Request) -> web.StreamResponse:
        try:
            made = await pages.get()
        except MissingPackagesError as error:
            return await _plain_page(HTTPStatus.SERVICE_UNAVAILABLE, _what_is_missing(error))(request)
        return _answer(request, made.page, {**_page_headers(made.policy), "Cache-Control": "no-cache"})

    async def static(request: web.Request) -> web.StreamResponse:
        try:
            files = (await pages.get()).files
        except MissingPackagesError as error:
            raise RdchatError(ErrorCode.NOT_FOUND) from error
        found = files.by_name.get(request.match_info["name"])
        if found is None or request.match_info["hash"] != files.hash:
            # Also of another version: a page that mixed two of them would break where it is not looked for.
            raise RdchatError(ErrorCode.NOT_FOUND)
        return _answer(request, found, {"Cache-Control": _FOR_GOOD, "X-Content-Type-Options": "nosniff"})

    app.router.add_get("/app/static/{hash}/{name:.+}", static)
    app.router.add_get("/app/static{rest:(?:/.*)?}", unknown)
    app.router.add_get("/app", page)
    app.router.add_get("/app/{path:.*}", page)


def _make(runtime: Runtime) -> _Made:
    files = read_static_files(WEB)
    template = (WEB / "app" / "index.html").read_text(encoding="utf-8")
    shown = render(template, runtime.settings, files, realtime_sources(runtime.ably.client_options))
    page = pack(shown.text.encode(), "text/html; charset=utf-8")
    return _Made(page, shown.policy, files)


def _answer(request: web.Request, file: StaticFile, headers: Mapping[str, str]) -> web.Response:
    """Answer with a file, by gzip where that is accepted; or that the caller has it already."""
    packed = file.packed if accepts_gzip(request.headers.get("Accept-Encoding", "")) else None
    tag = f'"{file.tag}"' if packed is None else f'"{file.tag}-gzip"'
    said = {**headers, "ETag": tag}
    if file.packed is not None:
        said["Vary"] = "Accept-Encoding"
    if names(request.headers.get("If-None-Match"), tag):
        return web.Response(status=HTTPStatus.NOT_MODIFIED, headers=said)
    said["Content-Type"] = file.media_type
    if packed is not None:
        said["Content-Encoding"] = "gzip"
    return web.Response(body=file.content if packed is None else packed, headers=said)


def _page_headers(policy: str) -> dict[str, str]:
    return {
        "Content-Security-Policy": policy,
        # Voice messages are spoken here.
        "Permissions-Policy": "camera=(), geolocation=(), microphone=(self)",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
    }


def _plain_page(status: HTTPStatus, content: Html) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Make a handler that says why there is no page, in one that loads nothing."""
    text = (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<title>rdchat</title>\n'
        f'<link rel="icon" href="data:,">\n</head>\n<body>\n<main>\n<h1>rdchat</h1>\n{content}\n</main>\n'
        "</body>\n</html>\n"
    )
    policy = "default-src 'none'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    headers = {
        **_page_headers(policy),
        "Content-Type": "text/html; charset=utf-8",
        "Cache-Control": "no-store",
    }

    async def plain(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, text=text, headers=headers)

    return plain


def _what_is_missing(error: MissingPackagesError) -> Html:
    return joined(
        (
            element(
                "p",
                "The service runs, but the pages lack packages that they load. In its folder, ",
                code(COMMAND),
                " installs them; then reload this page. Missing are:",
            ),
            element("ul", *(element("li", code(file)) for file in error.files)),
        )
    )
