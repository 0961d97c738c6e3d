"""The kinds of files that may be sent. A file's kind is decided by its content alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_OFFICE: Final = "application/vnd.openxmlformats-officedocument"
_OPEN_DOCUMENT: Final = "application/vnd.oasis.opendocument"


class UnacceptableError(Exception):
    """The file cannot be sent; the text says why, for users to read.

    `found` names what it is instead, where that is known: "a video".
    """

    def __init__(self, text: str, found: str | None = None) -> None:
        super().__init__(text)
        self.found = found


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of file. The first of its extensions is given to files whose name has none of them."""

    content_type: str
    extensions: tuple[str, ...]

    @property
    def is_image(self) -> bool:
        """Whether it is shown as a picture."""
        return self.content_type.startswith("image/")

    @property
    def is_audio(self) -> bool:
        """Whether it is played as a recording."""
        return self.content_type.startswith("audio/")


JPEG: Final = Kind("image/jpeg", (".jpg", ".jpeg"))
PNG: Final = Kind("image/png", (".png",))
WEBP: Final = Kind("image/webp", (".webp",))
OGG: Final = Kind("audio/ogg", (".ogg", ".oga", ".opus"))
WEBM: Final = Kind("audio/webm", (".webm", ".weba"))
MP4: Final = Kind("audio/mp4", (".m4a", ".mp4"))
MP3: Final = Kind("audio/mpeg", (".mp3",))
WAV: Final = Kind("audio/wav", (".wav",))
PDF: Final = Kind("application/pdf", (".pdf",))
TEXT: Final = Kind("text/plain", (".txt",))
DOCX: Final = Kind(f"{_OFFICE}.wordprocessingml.document", (".docx",))
XLSX: Final = Kind(f"{_OFFICE}.spreadsheetml.sheet", (".xlsx",))
PPTX: Final = Kind(f"{_OFFICE}.presentationml.presentation", (".pptx",))
ODT: Final = Kind(f"{_OPEN_DOCUMENT}.text", (".odt",))
ODS: Final = Kind(f"{_OPEN_DOCUMENT}.spreadsheet", (".ods",))
ODP: Final = Kind(f"{_OPEN_DOCUMENT}.presentation", (".odp",))

#: The kinds of what is kept.
KINDS: Final = {
    kind.content_type: kind
    for kind in (
        *(JPEG, PNG, WEBP),
        *(OGG, WEBM, MP4, MP3, WAV),
        *(PDF, TEXT, DOCX, XLSX, PPTX, ODT, ODS, ODP),
    )
}

HEIC: Final = Kind("image/heic", (".heic", ".heif", ".hif"))
AVIF: Final = Kind("image/avif", (".avif",))
GIF: Final = Kind("image/gif", (".gif",))

#: The kinds that are kept as another. Few browsers show HEIC; a GIF that does not move any more is none.
KEPT_AS: Final = {HEIC: JPEG, AVIF: JPEG, GIF: PNG}

#: What may be sent, in words: all of the above, for the documentation and for refusals.
IN_WORDS: Final = (
    "an image (JPEG, PNG, GIF, WebP, HEIC, AVIF), a recording (M4A, MP3, Ogg, WebM, WAV), a PDF, a plain "
    "text, or a document of an office program without macros"
)
