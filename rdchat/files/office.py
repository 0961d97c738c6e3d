"""Office documents, looked through: what would run in them, or be fetched from elsewhere, when opened.

Parts are known by their content types and relations as well as by their names, which may be anything. XML is
read by the standard library's expat, part by part. A document type in it is refused: no program writes one,
and entities could be in it.
"""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Final
from xml.parsers import expat

from rdchat.files.kinds import UnacceptableError

if TYPE_CHECKING:
    import zipfile
    from collections.abc import Collection, Iterable

MACROS: Final = "Documents with macros cannot be sent."
UNSAFE: Final = "The document cannot be opened safely. Send it as PDF."
_CONTROLS: Final = "Documents with ActiveX controls cannot be sent."
_OBJECTS: Final = "Documents with objects of other programs in them (OLE) cannot be sent. Send it as PDF."
_PROGRAMS: Final = "Documents with programs in them cannot be sent."
_DDE: Final = "Documents with links to running programs (DDE) cannot be sent."
_TEMPLATE: Final = "The document loads a template from elsewhere. Save it without one, or send it as PDF."
_EXTERNAL: Final = "The document loads parts of itself from elsewhere. Put these into it, or send it as PDF."
_LINKS: Final = "The document has links that open something else than a page or an address."
#: What the name of an entry says.
_BY_NAME: Final = tuple(
    (re.compile(rf"(?:^|/)(?:{names})$", re.IGNORECASE), sentence)
    for names, sentence in (
        (r"vbaproject\.bin|vbadata\.xml|macrosheets/.*|basic/.*|scripts/.*", MACROS),
        (r"[^/]*\.(?:docm|dotm|xlsm|xltm|xlsb|xlam|pptm|potm|ppsm|ppam)", MACROS),
        (r"activex/.*", _CONTROLS),
        (r"oleobject[^/]*", _OBJECTS),
        (r"[^/]*\.(?:exe|dll|com|bat|cmd|js|vbs|ps1|jar|class|hta|scr|lnk|msi)", _PROGRAMS),
    )
)
#: And its content type, or the type of a relation to it: the end of the one, or of the other.
_BY_TYPE: Final = (
    ("macroenabled", MACROS),
    ("vbaproject", MACROS),
    ("vbadata", MACROS),
    ("macrosheet", MACROS),
    ("activex", _CONTROLS),
    ("/control", _CONTROLS),
    ("oleobject", _OBJECTS),
)
_HYPERLINK: Final = "/hyperlink"
#: What a link that a person follows may lead to. One without a scheme leads to a file beside the document.
_HARMLESS: Final = frozenset({"", "http", "https", "mailto", "tel", "sms", "geo", "news", "ftp"})
_SCHEME: Final = re.compile(r"\s*([A-Za-z][A-Za-z0-9+.-]*):")
_FIELD: Final = re.compile(r"(?:^|[\s{\"'=\\])DDE(?:AUTO)?(?=$|[\s\"'}\\])", re.IGNORECASE)
#: Elements of spreadsheets and of OpenDocument that ask a running program, or run something.
_ELEMENTS: Final = {
    "ddeLink": _DDE,
    "dde-link": _DDE,
    "dde-source": _DDE,
    "dde-connection-decl": _DDE,
    "oleLink": _OBJECTS,
    "object-ole": _OBJECTS,
    "applet": _PROGRAMS,
    "plugin": _PROGRAMS,
}
#: Elements of OpenDocument whose address is followed when a person clicks, and not before.
_FOLLOWED: Final = frozenset({"a", "event-listener"})
_OPC_PARTS: Final = re.compile(
    r"(?:^|/)(?:_rels/[^/]*\.rels|word/.*\.xml|xl/externalLinks/.*\.xml)$", re.IGNORECASE
)
_ODF_PARTS: Final = re.compile(r"(?:^|/)(?:content|styles|settings)\.xml$", re.IGNORECASE)


def check_names(names: Iterable[str]) -> None:
    """Refuse a document by what its entries are called. Raise UnacceptableError."""
    for name in names:
        for pattern, sentence in _BY_NAME:
            if pattern.search(name):
                raise UnacceptableError(sentence)


def check_open_xml(archive: zipfile.ZipFile, names: Collection[str]) -> None:
    """Refuse what runs or fetches something, in DOCX, XLSX, PPTX. Raise UnacceptableError."""
    with contextlib.suppress(expat.ExpatError):
        _read_by(_ContentTypes(), archive, "[Content_Types].xml")
    for name in sorted(names):
        if _OPC_PARTS.search(name):
            reader = _Relations() if name.lower().endswith(".rels") else _Fields()
            _read_whole(reader, archive, name)


def check_open_document(archive: zipfile.ZipFile, names: Collection[str]) -> None:
    """Refuse what runs or fetches something, in ODT, ODS, ODP. Raise UnacceptableError."""
    for name in sorted(names):
        if _ODF_PARTS.search(name):
            _read_whole(_OpenDocument(), archive, name)


class _Reader:
    """Reads one part. Names of elements and attributes are without their prefix."""

    def start(self, element: str, attributes: dict[str, str]) -> None:
        """Look at the beginning of an element. Raise UnacceptableError."""

    def end(self, element: str) -> None:
        """Look at its end. Raise UnacceptableError."""

    def text(self, text: str) -> None:
        """Look at a piece of text."""


class _ContentTypes(_Reader):
    def start(self, _element: str, attributes: dict[str, str]) -> None:
        check_type(attributes.get("ContentType", ""))


class _Relations(_Reader):
    def start(self, _element: str, attributes: dict[str, str]) -> None:
        kind, target = attributes.get("Type", ""), attributes.get("Target", "")
        check_type(kind)
        if attributes.get("TargetMode", "").strip().lower() != "external":
            return
        if kind.lower().endswith(_HYPERLINK):
            _check_link(target)
        else:
            raise UnacceptableError(_TEMPLATE if kind.lower().endswith("attachedtemplate") else _EXTERNAL)


class _Fields(_Reader):
    """Fields of text documents, whose code may be spread over pieces; and elements of other parts."""

    def __init__(self) -> None:
        self._in_code = 0
        self._code: list[str] = []

    def start(self, element: str, attributes: dict[str, str]) -> None:
        if element in _ELEMENTS:
            raise UnacceptableError(_ELEMENTS[element])
        if element == "fldSimple":
            self._check(attributes.get("instr", ""))
        elif element in ("instrText", "delInstrText"):
            self._in_code += 1
        elif element == "fldChar":
            # A field begins, its code ends, or it ends: what follows belongs to another.
            self._check("".join(self._code))
            self._code.clear()

    def end(self, element: str) -> None:
        if element in ("instrText", "delInstrText"):
            self._in_code -= 1
        elif element in ("document", "hdr", "ftr", "footnotes", "endnotes", "comments"):
            self._check("".join(self._code))

    def text(self, text: str) -> None:
        if self._in_code:
            self._code.append(text)

    @staticmethod
    def _check(code: str) -> None:
        if _FIELD.search(code):
            raise UnacceptableError(_DDE)


class _OpenDocument(_Reader):
    def start(self, element: str, attributes: dict[str, str]) -> None:
        if element in _ELEMENTS:
            raise UnacceptableError(_ELEMENTS[element])
        if element == "event-listener" and _runs(attributes):
            raise UnacceptableError(MACROS)
        target = attributes.get("href")
        if target is None:
            return
        if element in _FOLLOWED:
            _check_link(target)
        elif _SCHEME.match(target) or target.lstrip().startswith(("/", "\\", "../")):
            raise UnacceptableError(_EXTERNAL)


def _runs(listener: dict[str, str]) -> bool:
    """Whether what listens to an event runs something: in presentations, most only show another page."""
    return bool(listener.keys() & {"language", "macro-name"}) or listener.get("action", "").startswith(
        "execute"
    )


def check_type(kind: str) -> None:
    """Refuse a document by the type of one of its parts. Raise UnacceptableError."""
    lowered = kind.lower()
    for part, sentence in _BY_TYPE:
        if part in lowered:
            raise UnacceptableError(sentence)


def _check_link(target: str) -> None:
    scheme = _SCHEME.match(target)
    is_share = target.lstrip().startswith(("\\\\", "//"))
    if is_share or (scheme is not None and scheme[1].lower() not in _HARMLESS):
        raise UnacceptableError(_LINKS)


def _read_whole(reader: _Reader, archive: zipfile.ZipFile, name: str) -> None:
    try:
        _read_by(reader, archive, name)
    except expat.ExpatError as error:
        raise UnacceptableError(UNSAFE) from error


def _read_by(reader: _Reader, archive: zipfile.ZipFile, name: str) -> None:
    with archive.open(name) as entry:
        content = entry.read()
    if not content.strip():
        return
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = lambda element, attributes: reader.start(
        _local(element), {_local(key): value for key, value in attributes.items()}
    )
    parser.EndElementHandler = lambda element: reader.end(_local(element))
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = _refuse_document_type
    parser.Parse(content, True)


def _refuse_document_type(*_: object) -> None:
    raise UnacceptableError(UNSAFE)


def _local(name: str) -> str:
    return name.rpartition(":")[2]
