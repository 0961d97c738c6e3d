"""The one HTML page that all of `/app` is: its template, filled in."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from handlers.api.presenters import crisis_contact_json
from handlers.openapi.html import Html, element, escape, joined
from handlers.pages.app_policy import content_security_policy, origin_of
from handlers.pages.module_graph import static_graph
from handlers.pages.vendored import FONT, IMPORTS
from rdchat import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from config import Settings
    from handlers.pages.static_files import StaticFiles

ENTRY: Final = "app/main.js"
_STYLE: Final = "app/style/main.css"
_PLACE: Final = re.compile(r"{{(\w+)}}")


@dataclass(frozen=True, slots=True)
class AppHtml:
    """The page, and the policy that it must be sent with."""

    text: str
    policy: str


def base_path(settings: Settings) -> str:
    """Return the path that every address of the service begins with, as clients see it; '' without one."""
    return urlsplit(settings.base_url).path


def render(template: str, settings: Settings, files: StaticFiles, connections: Iterable[str]) -> AppHtml:
    """Fill in the template. `connections` are the sources of realtime that the page may connect to.

    Raise UnresolvedImportError if a module imports what is not there.
    """
    base = base_path(settings)
    root = f"{base}/app/static/{files.hash}"
    vendored = {name: f"vendor/{file}" for name, file in IMPORTS.items()}
    sources = {name: one.content for name, one in files.by_name.items()}
    import_map = _script_json({"imports": {name: f"{root}/{file}" for name, file in vendored.items()}})
    pieces: Mapping[str, Html] = {
        "version": escape(__version__),
        "base": escape(base),
        "static": escape(root),
        "style": element_void("link", rel="stylesheet", href=f"{root}/{_STYLE}"),
        "font": element_void(
            "link", rel="preload", as_="font", type="font/woff2", href=f"{root}/vendor/{FONT}", crossorigin=""
        ),
        "importmap": element("script", import_map, type="importmap"),
        "modulepreload": joined(
            (
                element_void("link", rel="modulepreload", href=f"{root}/{name}")
                for name in static_graph(ENTRY, sources, vendored)
            ),
            "\n",
        ),
        "script": element("script", type="module", src=f"{root}/{ENTRY}"),
        "settings": element(
            "script", _script_json(told(settings, root)), type="application/json", id="settings"
        ),
    }
    policy = content_security_policy(
        import_map=import_map,
        own=origin_of(settings.base_url),
        connections=(
            *connections,
            *([origin_of(settings.oidc_authority)] if settings.oidc_authority is not None else []),
        ),
    )
    return AppHtml(_PLACE.sub(lambda place: pieces[place[1]], template), policy)


def told(settings: Settings, root: str) -> dict[str, Any]:
    """Return what the page is told: where things are, how one signs in, the rules that it shows.

    Also whom everyone can turn to at once. Durations are seconds, sizes bytes.
    """
    return {
        "base": base_path(settings),
        "version": __version__,
        "static": root,
        "signIn": settings.sign_in,
        "oidc": {
            "authority": settings.oidc_authority,
            "clientId": settings.oidc_client_id,
            "scope": settings.oidc_scope,
        }
        if settings.sign_in == "oidc"
        else None,
        "language": settings.language,
        "initialLead": settings.initial_message_lead.total_seconds(),
        "endWarningLead": settings.end_warning_lead.total_seconds(),
        "minSession": settings.min_session.total_seconds(),
        "maxSession": settings.max_session.total_seconds(),
        "extensionStep": settings.extension_step.total_seconds(),
        "bookingNotice": settings.booking_notice.total_seconds(),
        "bookingHorizon": settings.booking_horizon.total_seconds(),
        "cancelDeadline": settings.cancel_deadline.total_seconds(),
        "reminders": [lead.total_seconds() for lead in settings.reminders],
        "maxAttachment": settings.max_attachment,
        # Before one signs in, and while the service is away. In all languages: people change it on the page.
        "crisisContacts": [crisis_contact_json(one) for one in settings.organizations.crisis_contacts(None)],
    }


def element_void(name: str, **attributes: str) -> Html:
    """Make an element that has no content and no end, such as `link`."""
    return Html(element(name, **attributes).removesuffix(f"</{name}>"))


def _script_json(value: Any) -> Html:  # noqa: ANN401 - JSON
    """Write JSON that may stand in a script element: nothing in it can end that."""
    return Html(json.dumps(value, ensure_ascii=False).replace("<", "\\u003c"))
