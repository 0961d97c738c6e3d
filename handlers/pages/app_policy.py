"""What the pages at `/app` may load, run and call: their Content-Security-Policy."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from rdchat.transcript import STYLE_SOURCE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: Where Ably's SDK connects, falls back to, and looks whether there is a network at all.
_OF_ABLY: Final = tuple(
    f"{scheme}://*.{domain}"
    for domain in ("ably.net", "ably-realtime.com", "ably.io")
    for scheme in ("https", "wss")
)


def origin_of(url: str) -> str:
    """Return scheme, host and port of an address."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def realtime_sources(client_options: Mapping[str, Any]) -> tuple[str, ...]:
    """List where a client's SDK connects to, by the options that clients are given."""
    if client_options["tls"]:
        return _OF_ABLY
    host, port = client_options["endpoint"], client_options["port"]
    if host.startswith("["):
        # A policy cannot name an IPv6 address (CSP 3, host-source). Only a local endpoint has one.
        return ("http:", "ws:")
    return (f"http://{host}:{port}", f"ws://{host}:{port}")


def content_security_policy(*, import_map: str, own: str, connections: Iterable[str]) -> str:
    """Write the policy of a page with an import map.

    `own` is the origin that links in answers begin with. A page that was opened by another name of the
    machine, such as `localhost`, must be able to load what they lead to. `connections` are called beside it.
    """
    fingerprint = base64.b64encode(hashlib.sha256(import_map.encode()).digest()).decode()
    itself = "'self'" if "[" in own else f"'self' {own}"
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'self' 'sha256-{fingerprint}'",
            # Transcripts are opened out of memory, and inherit this.
            f"style-src 'self' {STYLE_SOURCE}",
            "font-src 'self'",
            f"img-src {itself} blob: data:",
            f"media-src {itself} blob:",
            f"connect-src {' '.join((itself, *connections))}",
            f"frame-src {itself}",
            "frame-ancestors 'self'",
            "base-uri 'none'",
            "form-action 'self'",
        )
    )
