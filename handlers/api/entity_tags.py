"""Entity tags: which state of something an answer shows, so that a change can be made to that state alone."""

from __future__ import annotations

import hashlib
import re
from typing import Any, Final

from handlers.http.routing import Answer
from rdchat.common.json import as_json

_TAG: Final = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')


def entity_tag(shown: dict[str, Any]) -> str:
    """Make the tag of what is shown: the same for the same, from every replica."""
    return f'"{hashlib.sha256(as_json(shown)).hexdigest()[:32]}"'


def names(header: str | None, tag: str) -> bool:
    """Tell whether a header `If-Match` or `If-None-Match` names a tag, or is `*`.

    A weak tag counts as well: it is a proxy on the way that weakens what it compresses.
    """
    if header is None:
        return False
    return header.strip() == "*" or tag in _TAG.findall(header)


def not_modified(tag: str) -> Answer:
    """Answer that the caller has it already."""
    return Answer(None, "", 304, {"ETag": tag, "Cache-Control": "no-store"})
