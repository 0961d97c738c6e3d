"""PDFs, looked through: scripts, actions that start programs or open addresses, and files in the file.

Nearly all PDFs hold none of the names that these need, neither in the file as it lies there nor in its
compressed objects. For one that does, every object is read, so that a name in a text or in a picture counts
for nothing. Names may be written with `#` and two digits for any character.
"""

from __future__ import annotations

import io
import re
import zlib
from typing import TYPE_CHECKING, Any, Final

from rdchat.files.kinds import UnacceptableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pypdf import PdfReader

_SCRIPTS: Final = "PDFs with scripts in them cannot be sent. Print it into a new PDF, and send that."
_STARTS: Final = "PDFs that start programs or open addresses by themselves cannot be sent."
_FILES: Final = "PDFs with other files in them cannot be sent. Send these one by one."
_FORMS: Final = "PDFs with an XFA form cannot be sent. Print it into a new PDF, and send that."
_MEDIA: Final = "PDFs that play media cannot be sent. Print it into a new PDF, and send that."
_HIDDEN: Final = "The PDF cannot be looked through. Print it into a new PDF, and send that."
#: Keys of dictionaries, and values of `/S`, `/Type` and `/Subtype`, without the slash.
_KEYS: Final = {
    "JS": _SCRIPTS,
    "JavaScript": _SCRIPTS,
    "EmbeddedFiles": _FILES,
    "EF": _FILES,
    "XFA": _FORMS,
    "RichMediaContent": _MEDIA,
}
_VALUES: Final = {
    "JavaScript": _SCRIPTS,
    "Launch": _STARTS,
    "EmbeddedFile": _FILES,
    "RichMedia": _MEDIA,
    "Rendition": _MEDIA,
}
_NAMED_BY: Final = ("/S", "/Type", "/Subtype")
#: Without which nothing of the above is there. `EF` is short, and `EmbeddedFile` stands beside it.
_WORDS: Final = frozenset({*_KEYS, *_VALUES} - {"EF"})
_SUSPICIOUS: Final = re.compile(
    rb"/(?:%s)(?![A-Za-z0-9])" % b"|".join(word.encode() for word in sorted(_WORDS))
)
_ESCAPED: Final = re.compile(rb"/[A-Za-z0-9]*#[0-9A-Fa-f]{2}[A-Za-z0-9#]*")
_ESCAPE: Final = re.compile(rb"#([0-9A-Fa-f]{2})")
#: Written as only objects are, also where an object is hidden from the file's own table of objects.
_BLUNT: Final = re.compile(rb"/S\s*/(JavaScript|Launch)(?![A-Za-z0-9])")
_COMPRESSED: Final = re.compile(rb"/ObjStm(?![A-Za-z0-9])")
_STREAM: Final = re.compile(rb"stream\r?\n")
#: What an object that opens with the document may do: show a page of it.
_OPENING: Final = frozenset({"/GoTo", "/Named"})
_MOST_UNPACKED: Final = 64 * 1024 * 1024
_DEEPEST: Final = 60
_LONGEST_HEAD: Final = 4096


def check_contents(content: bytes) -> None:
    """Refuse a PDF that does more than to be shown. Raise UnacceptableError."""
    plain = _plain(content)
    blunt = _BLUNT.search(plain)
    if blunt is not None:
        raise UnacceptableError(_VALUES[blunt[1].decode()])
    try:
        reader = _opened(content)
        unpacked = list(_compressed_objects(reader))
        _check_opening(reader)
    except _broken() as error:
        # Where nothing is compressed all objects lie in the file as they are, and none may have such a name.
        if _COMPRESSED.search(plain) or _SUSPICIOUS.search(plain):
            raise UnacceptableError(_HIDDEN) from error
        return
    unpacked += _hidden_objects(plain, len(unpacked))
    if _SUSPICIOUS.search(plain) or any(_SUSPICIOUS.search(_plain(one)) for one in unpacked):
        _read_all(reader)


def needs_password(content: bytes) -> bool:
    """Return whether a PDF opens by a password only; many are encrypted so that they cannot be changed."""
    from pypdf import PdfReader  # noqa: PLC0415 - few need it

    try:
        reader = PdfReader(io.BytesIO(content))
        return reader.is_encrypted and not reader.decrypt("")
    except _broken():
        # It may be encrypted in a way that is not known here, or just hold these characters: readers see.
        return False


def _broken() -> tuple[type[Exception], ...]:
    """Return what reading raises for content that is not as a PDF should be."""
    from pypdf.errors import PyPdfError  # noqa: PLC0415 - few need it

    return (
        PyPdfError,
        ValueError,
        TypeError,
        KeyError,
        IndexError,
        AttributeError,
        NotImplementedError,
        RecursionError,
        OverflowError,
        OSError,
        EOFError,
        AssertionError,
        zlib.error,
    )


def _plain(content: bytes) -> bytes:
    """Write the names in a content as they are meant, where they are written with `#`."""
    if b"#" not in content:
        return content
    return _ESCAPED.sub(lambda name: _ESCAPE.sub(lambda found: bytes([int(found[1], 16)]), name[0]), content)


def _opened(content: bytes) -> PdfReader:
    from pypdf import PdfReader  # noqa: PLC0415 - few need it

    reader = PdfReader(io.BytesIO(content))
    if reader.is_encrypted:
        reader.decrypt("")
    return reader


def _compressed_objects(reader: PdfReader) -> Iterator[bytes]:
    """Give what the streams of compressed objects hold: no streams, so that all names in it are seen."""
    for number in {stream for stream, _ in reader.xref_objStm.values()}:
        yield _object(reader, number, 0).get_data()


def _hidden_objects(plain: bytes, known: int) -> list[bytes]:
    """Give what streams of compressed objects hold that the table of objects does not lead to.

    Readers that find the table damaged make one of what they find. `known`: of so many the content is known.
    """
    found = [match.start() for match in _COMPRESSED.finditer(plain)]
    if len(found) <= known:
        return []
    unpacked = []
    for at in found:
        begins = _STREAM.search(plain, at, at + _LONGEST_HEAD)
        if begins is None:
            continue
        packed = plain[begins.end() : plain.find(b"endstream", begins.end())]
        try:
            unpacked.append(zlib.decompressobj().decompress(packed, _MOST_UNPACKED))
        except zlib.error as error:
            raise UnacceptableError(_HIDDEN) from error
    return unpacked


def _check_opening(reader: PdfReader) -> None:
    """Refuse what goes beyond showing a page as soon as the document is opened."""
    root: Any = reader.trailer["/Root"].get_object()
    action = _named(root.get("/OpenAction"))
    if isinstance(action, dict) and action.get("/S") not in _OPENING:
        raise UnacceptableError(_STARTS if "/JS" not in action else _SCRIPTS)


def _read_all(reader: PdfReader) -> None:
    """Read every object, and refuse the file by what is in one of them."""
    numbers = {(number, generation) for generation, table in reader.xref.items() for number in table}
    numbers |= {(number, 0) for number in reader.xref_objStm}
    try:
        for number, generation in sorted(numbers):
            _walk(_object(reader, number, generation), 0)
        _walk(reader.trailer, 0)
    except _broken() as error:
        raise UnacceptableError(_HIDDEN) from error


def _object(reader: PdfReader, number: int, generation: int) -> Any:  # noqa: ANN401 - of any of pypdf's types
    from pypdf.generic import IndirectObject  # noqa: PLC0415 - few need it

    return reader.get_object(IndirectObject(number, generation, reader))


def _walk(value: Any, depth: int) -> None:  # noqa: ANN401 - of any of pypdf's types
    if depth > _DEEPEST:
        raise UnacceptableError(_HIDDEN)
    if isinstance(value, dict):
        for key, one in dict.items(value):
            if (sentence := _KEYS.get(str(key)[1:])) is not None:
                raise UnacceptableError(sentence)
            if key in _NAMED_BY and (sentence := _VALUES.get(str(_named(one))[1:])) is not None:
                raise UnacceptableError(sentence)
            _walk(one, depth + 1)
    elif isinstance(value, list):
        for one in list.__iter__(value):
            _walk(one, depth + 1)


def _named(value: Any) -> Any:  # noqa: ANN401 - of any of pypdf's types
    """Return a value, also where it stands elsewhere."""
    return value.get_object() if hasattr(value, "idnum") else value
