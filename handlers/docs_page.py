"""The page at /docs."""

from __future__ import annotations

from typing import Any


def render(document: dict[str, Any]) -> str:
    """Render."""
    return f"<html><body>{document['info']['title']}</body></html>"
