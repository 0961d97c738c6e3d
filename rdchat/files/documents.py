"""Documents: plain text, PDF, and the zip archives that office programs write; nothing in them that runs."""

from __future__ import annotations

import codecs
import io
import re
import struct
import zipfile
import zlib
from typing import TYPE_CHECKING, Final

from rdchat.files import kinds, office, pdf_contents, signatures
from rdchat.files.kinds import UnacceptableError
from rdchat.files.office import UNSAFE

if TYPE_CHECKING:
    from rdchat.files.kinds import Kind

_REFUSED: Final = f"Must be {kinds.IN_WORDS}."
_CUT_OFF: Final = "The document is cut off in the middle, or damaged."
_ARCHIVE: Final = ("Send the files that are in it one by one.", "an archive")
#: Readers look for the head of a PDF so far from the beginning (implementation note 13 of PDF 1.7).
_PDF_HEAD: Final = 1024
_PDF_END: Final = b"%%EOF"
_PDF_TAIL: Final = 2048
_PDF_ENCRYPTED: Final = re.compile(rb"/Encrypt\s*(?:\d+\s+\d+\s+R|<<)")
#: What the libraries raise for content that does not match its first bytes.
_BROKEN: Final = (
    zipfile.BadZipFile,
    zlib.error,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OSError,
    EOFError,
    LookupError,
    TypeError,
    AttributeError,
    struct.error,
)
_UTF_16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_MOST_ENTRIES: Final = 4096
_MOST_UNPACKED: Final = 256 * 1024 * 1024
_LONGEST_LIST: Final = 1024 * 1024
_ENCRYPTED: Final = 0x1
_NOT_IN_TEXT: Final = re.compile(r"[\x00-\x08\x0e-\x1f\x7f]")
_CONTROL_BYTES: Final = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")
#: Programs and pages that pass for text: what they are, and what to do. Kept text is named `.txt` in any
#: case; these are not even kept.
_NOT_JUST_TEXT: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), found, advice)
    for pattern, found, advice in (
        (r"\A\s*%!", "a PostScript document", "Send it as PDF."),
        (r"\A\s*\{\\rtf", "an RTF document", "Send it as PDF or DOCX."),
        (r"<\s*svg(?=[\s/>])", "an SVG drawing", "Send it as PNG."),
        (r"\A\s*<\?xml", "an XML file", "Send what matters as a text."),
        (r"\A\s*(?:#!|<\?)", "a program", "Programs cannot be sent."),
        (
            r"<\s*(?:!doctype|html|head|body|script|iframe|object|embed|style|meta|link)(?=[\s/>])",
            "a web page",
            "Send it as PDF, or what matters as a text.",
        ),
    )
)
_OFFICE_PARTS: Final = {
    "word/document.xml": (kinds.DOCX, b"wordprocessingml.document.main+xml"),
    "xl/workbook.xml": (kinds.XLSX, b"spreadsheetml.sheet.main+xml"),
    "ppt/presentation.xml": (kinds.PPTX, b"presentationml.presentation.main+xml"),
}
_MANIFEST: Final = "META-INF/manifest.xml"
_OPEN_DOCUMENTS: Final = {kind.content_type.encode(): kind for kind in (kinds.ODT, kinds.ODS, kinds.ODP)}


def identify(content: bytes) -> tuple[Kind, bytes | None]:
    """Return its kind, and, of a text that came in another encoding, UTF-8. Raise UnacceptableError."""
    if content.startswith(b"PK\x03\x04"):
        return _archive(content), None
    at = content.find(b"%PDF-", 0, _PDF_HEAD)
    # A text may speak of PDF.
    if at == 0 or (at > 0 and _PDF_END in content[-_PDF_TAIL:]):
        _check_pdf(content, content[:at])
        return kinds.PDF, None
    return kinds.TEXT, _text(content)


def _check_pdf(content: bytes, before: bytes) -> None:
    # What comes before its head must not make another program take it for something else.
    other = signatures.refused(before) or _passing_for_text(before.decode("latin-1"))
    if other is not None:
        raise other
    if _PDF_END not in content[-_PDF_TAIL:]:
        raise UnacceptableError("The PDF is cut off in the middle, or damaged.")
    if _PDF_ENCRYPTED.search(content) and pdf_contents.needs_password(content):
        raise UnacceptableError("Save it without a password.", "an encrypted PDF")
    pdf_contents.check_contents(content)


def _text(content: bytes) -> bytes | None:
    """Return a text in UTF-8 without a mark; None where it is so already."""
    encoding = "utf-16" if content.startswith(_UTF_16) else "utf-8-sig"
    try:
        # Some programs write the mark twice.
        text = content.decode(encoding).lstrip("\ufeff")
    except UnicodeDecodeError as error:
        raise _unknown(content) from error
    if _NOT_IN_TEXT.search(text):
        raise _unknown(content)
    if not text.strip():
        raise UnacceptableError("The text is empty.")
    other = _passing_for_text(text)
    if other is not None:
        raise other
    kept = text.encode()
    return None if kept == content else kept


def _passing_for_text(text: str) -> UnacceptableError | None:
    for pattern, found, advice in _NOT_JUST_TEXT:
        if pattern.search(text):
            return UnacceptableError(advice, found)
    return None


def _unknown(content: bytes) -> UnacceptableError:
    known = signatures.refused(content)
    if known is not None:
        return known
    if _CONTROL_BYTES.search(content):
        return UnacceptableError(_REFUSED)
    return UnacceptableError("The text is neither in UTF-8 nor in UTF-16. Save it as UTF-8.")


def _archive(content: bytes) -> Kind:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return _office(archive)
    except _BROKEN as error:
        raise UnacceptableError(_CUT_OFF) from error


def _office(archive: zipfile.ZipFile) -> Kind:
    entries = archive.infolist()
    names = {entry.filename for entry in entries}
    if not names & {"[Content_Types].xml", "mimetype"}:
        if names & {"AndroidManifest.xml", "META-INF/MANIFEST.MF"}:
            raise UnacceptableError("Programs cannot be sent.", "a program")
        raise UnacceptableError(*_ARCHIVE)
    office.check_names(names)
    unpacked = sum(entry.file_size for entry in entries)
    if len(names) < len(entries) or len(entries) > _MOST_ENTRIES or unpacked > _MOST_UNPACKED:
        raise UnacceptableError(UNSAFE)
    if min(entry.header_offset for entry in entries) != 0 or any(map(_is_amiss, entries)):
        raise UnacceptableError(UNSAFE)
    is_ooxml = "[Content_Types].xml" in names
    kind = _office_open_xml(archive, names) if is_ooxml else _open_document(archive, names)
    if kind is None:
        raise UnacceptableError(*_ARCHIVE)
    return kind


def _office_open_xml(archive: zipfile.ZipFile, names: set[str]) -> Kind | None:
    office.check_open_xml(archive, names)
    listed = _read(archive, "[Content_Types].xml")
    office.check_type(listed.decode("latin-1"))
    for part, (kind, content_type) in _OFFICE_PARTS.items():
        if part in names and content_type in listed:
            return kind
    return None


def _open_document(archive: zipfile.ZipFile, names: set[str]) -> Kind | None:
    kind = _OPEN_DOCUMENTS.get(_read(archive, "mimetype").strip())
    if kind is None or "content.xml" not in names:
        return None
    if _MANIFEST in names and b"encryption-data" in _read(archive, _MANIFEST):
        raise UnacceptableError("Save it without a password.", "an encrypted office document")
    office.check_open_document(archive, names)
    return kind


def _is_amiss(entry: zipfile.ZipInfo) -> bool:
    name = entry.filename
    return bool(entry.flag_bits & _ENCRYPTED) or name.startswith("/") or ".." in name.split("/")


def _read(archive: zipfile.ZipFile, name: str) -> bytes:
    with archive.open(name) as entry:
        return entry.read(_LONGEST_LIST)
