"""Documents: plain text, PDF, and the zip archives that office programs write, without macros."""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from typing import TYPE_CHECKING, Final

from rdchat.files import kinds
from rdchat.files.kinds import UnacceptableError

if TYPE_CHECKING:
    from rdchat.files.kinds import Kind

_REFUSED: Final = f"Must be {kinds.IN_WORDS}."
_PDF_TAIL: Final = 2048
_MOST_ENTRIES: Final = 4096
_MOST_UNPACKED: Final = 256 * 1024 * 1024
_LONGEST_LIST: Final = 1024 * 1024
_ENCRYPTED: Final = 0x1
_NOT_IN_TEXT: Final = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
#: Programs and pages that pass for text. Kept text is named `.txt` in any case; these are not even kept.
_NOT_JUST_TEXT: Final = re.compile(
    r"\A\s*(?:#!|<\?|%!|\{\\rtf)|<\s*(?:!doctype|html|head|body|script|svg|iframe|object|embed|style|meta|link)"
    r"(?=[\s/>])",
    re.IGNORECASE,
)
_OFFICE_PARTS: Final = {
    "word/document.xml": (kinds.DOCX, b"wordprocessingml.document.main+xml"),
    "xl/workbook.xml": (kinds.XLSX, b"spreadsheetml.sheet.main+xml"),
    "ppt/presentation.xml": (kinds.PPTX, b"presentationml.presentation.main+xml"),
}
_OPEN_DOCUMENTS: Final = {kind.content_type.encode(): kind for kind in (kinds.ODT, kinds.ODS, kinds.ODP)}
#: Entries that hold programs: macros of either family, controls, objects of other programs.
_PROGRAMS: Final = re.compile(
    r"(?:^|/)(?:vbaproject\.bin|vbadata\.xml|oleobject[^/]*|activex/.*|macrosheets/.*|basic/.*|scripts/.*"
    r"|[^/]*\.(?:exe|dll|com|bat|cmd|js|vbs|ps1|jar|class))$",
    re.IGNORECASE,
)


def identify(content: bytes) -> Kind:
    """Return what kind of document it is. Raise UnacceptableError for anything else."""
    if content.startswith(b"%PDF-"):
        if b"%%EOF" not in content[-_PDF_TAIL:]:
            raise UnacceptableError("The PDF is damaged.")
        return kinds.PDF
    if content.startswith(b"PK\x03\x04"):
        return _archive(content)
    return _text(content)


def _text(content: bytes) -> Kind:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnacceptableError(_REFUSED) from error
    if _NOT_IN_TEXT.search(text) or _NOT_JUST_TEXT.search(text) or not text.strip():
        raise UnacceptableError(_REFUSED)
    return kinds.TEXT


def _archive(content: bytes) -> Kind:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return _office(archive)
    except (
        zipfile.BadZipFile,
        zlib.error,
        NotImplementedError,
        RuntimeError,
        ValueError,
        OSError,
        EOFError,
        KeyError,
    ) as error:
        raise UnacceptableError(_REFUSED) from error


def _office(archive: zipfile.ZipFile) -> Kind:
    entries = archive.infolist()
    names = {entry.filename for entry in entries}
    unpacked = sum(entry.file_size for entry in entries)
    if len(names) < len(entries) or len(entries) > _MOST_ENTRIES or unpacked > _MOST_UNPACKED:
        raise UnacceptableError(_REFUSED)
    if min(entry.header_offset for entry in entries) != 0 or any(map(_is_amiss, entries)):
        raise UnacceptableError(_REFUSED)
    if "[Content_Types].xml" in names:
        listed = _read(archive, "[Content_Types].xml")
        if b"macroenabled" in listed.lower():
            raise UnacceptableError("Documents with macros cannot be sent.")
        for part, (kind, content_type) in _OFFICE_PARTS.items():
            if part in names and content_type in listed:
                return kind
    elif "mimetype" in names and "content.xml" in names:
        open_document = _OPEN_DOCUMENTS.get(_read(archive, "mimetype").strip())
        if open_document is not None:
            return open_document
    raise UnacceptableError(_REFUSED)


def _is_amiss(entry: zipfile.ZipInfo) -> bool:
    name = entry.filename
    if _PROGRAMS.search(name):
        raise UnacceptableError("Documents with macros cannot be sent.")
    return bool(entry.flag_bits & _ENCRYPTED) or name.startswith("/") or ".." in name.split("/")


def _read(archive: zipfile.ZipFile, name: str) -> bytes:
    with archive.open(name) as entry:
        return entry.read(_LONGEST_LIST)
