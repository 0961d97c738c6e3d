"""File names as they may be shown and saved: no path, nothing invisible, an extension that fits."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final

from rdchat.files import kinds
from rdchat.files.kinds import KEPT_AS, KINDS

if TYPE_CHECKING:
    from rdchat.files.kinds import Kind

#: File systems allow 255 bytes for a name; readers want less.
_LONGEST: Final = 120
_MOST_BYTES: Final = 240
#: Control and format characters (line breaks, the overrides that write a name backwards), halves of surrogate
#: pairs, private and unassigned ones, separators of lines and paragraphs.
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
#: What forms put for the characters that would end the name (WHATWG HTML, multipart/form-data encoding).
_ESCAPED: Final = {"%0A": "\n", "%0D": "\r", "%22": '"'}
_EXTENSIONS: Final = {
    extension: kind for kind in (*KINDS.values(), *KEPT_AS) for extension in kind.extensions
}


def clean_file_name(given: str | None, kind: Kind) -> str:
    """Make the name under which a file is kept from the one that its sender gave."""
    name = re.sub("%(?:0A|0D|22)", lambda found: _ESCAPED[found[0].upper()], given or "", flags=re.IGNORECASE)
    name = re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1]
    name = "".join(one for one in name if one.isspace() or unicodedata.category(one) not in _UNSEEN)
    name = " ".join(name.split()).rstrip(". ")
    stem, dot, last = name.rpartition(".")
    extension = f".{last}".lower() if dot else ""
    if extension not in kind.extensions:
        # Of another kind, as it claims: it is named after what it is.
        stem, extension = (stem if extension in _EXTENSIONS else name), kind.extensions[0]
    return _shortened(stem.strip(". ") or _unnamed(kind), extension) + extension


def claim(given: str | None) -> str | None:
    """Say what a name promises: "an image". None for a recording, since videos have such names too."""
    _, dot, last = (given or "").rpartition(".")
    kind = _EXTENSIONS.get(f"{dot}{last}".lower()) if dot else None
    if kind is None or kind.is_audio:
        return None
    if kind.is_image:
        return "an image"
    return {kinds.PDF: "a PDF", kinds.TEXT: "a text"}.get(kind, "a document")


def _unnamed(kind: Kind) -> str:
    if kind.is_image:
        return "image"
    return "recording" if kind.is_audio else "file"


def _shortened(stem: str, extension: str) -> str:
    stem = stem[: _LONGEST - len(extension)]
    while len((stem + extension).encode()) > _MOST_BYTES:
        stem = stem[:-1]
    return stem.rstrip(". ")
