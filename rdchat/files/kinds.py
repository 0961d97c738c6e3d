"""The kinds of files that may be sent. A file's kind is decided by its content alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_OFFICE: Final = "application/vnd.openxmlformats-officedocument"
_OPEN_DOCUMENT: Final = "application/vnd.oasis.opendocument"


class UnacceptableError(Exception):
    """The file cannot be sent; the text says why, for users to read."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of file. The first of its extensions is given to files whose name has none of them."""

    content_type: str
    extensions: tuple[str, ...]

    @property
    def is_image(self) -> bool:
        """Whether browsers may show it inline."""
        return self.content_type.startswith("image/")


JPEG: Final = Kind("image/jpeg", (".jpg", ".jpeg"))
PNG: Final = Kind("image/png", (".png",))
GIF: Final = Kind("image/gif", (".gif",))
WEBP: Final = Kind("image/webp", (".webp",))
PDF: Final = Kind("application/pdf", (".pdf",))
TEXT: Final = Kind("text/plain", (".txt",))
DOCX: Final = Kind(f"{_OFFICE}.wordprocessingml.document", (".docx",))
XLSX: Final = Kind(f"{_OFFICE}.spreadsheetml.sheet", (".xlsx",))
PPTX: Final = Kind(f"{_OFFICE}.presentationml.presentation", (".pptx",))
ODT: Final = Kind(f"{_OPEN_DOCUMENT}.text", (".odt",))
ODS: Final = Kind(f"{_OPEN_DOCUMENT}.spreadsheet", (".ods",))
ODP: Final = Kind(f"{_OPEN_DOCUMENT}.presentation", (".odp",))

KINDS: Final = {
    kind.content_type: kind for kind in (JPEG, PNG, GIF, WEBP, PDF, TEXT, DOCX, XLSX, PPTX, ODT, ODS, ODP)
}
#: What may be sent, in words: all of the above, for the documentation and for refusals.
IN_WORDS: Final = (
    "an image (JPEG, PNG, GIF, WebP), a PDF, a plain text, or a document of an office program without macros"
)
