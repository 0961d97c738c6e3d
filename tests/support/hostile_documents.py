"""Documents that would do something when they are opened, and harmless ones that look alike."""

from __future__ import annotations

import io
import zipfile
import zlib

from pypdf import PdfReader, PdfWriter
from pypdf.generic import (
    ArrayObject,
    DecodedStreamObject,
    DictionaryObject,
    NameObject,
    PdfObject,
    TextStringObject,
)

OOXML = "application/vnd.openxmlformats-officedocument"
_RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
Parts = dict[str, str | bytes]


def archive(entries: Parts) -> bytes:
    """Write a zip archive, without the present instant in it."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        for name, content in entries.items():
            made.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def docx(more: Parts | None = None, *, body: str = "", types: str = "") -> bytes:
    """Write a text document."""
    main = f"{OOXML}.wordprocessingml.document.main+xml"
    listed = f'<Types><Override PartName="/word/document.xml" ContentType="{main}"/>{types}</Types>'
    document = f'<w:document xmlns:w="{_W}"><w:body>{body}</w:body></w:document>'
    return archive({"[Content_Types].xml": listed, "word/document.xml": document, **(more or {})})


def xlsx(more: Parts | None = None) -> bytes:
    """Write a workbook."""
    main = f"{OOXML}.spreadsheetml.sheet.main+xml"
    listed = f'<Types><Override PartName="/xl/workbook.xml" ContentType="{main}"/></Types>'
    return archive({"[Content_Types].xml": listed, "xl/workbook.xml": "<workbook/>", **(more or {})})


def odt(body: str = "", more: Parts | None = None, *, kind: str = "text") -> bytes:
    """Write an OpenDocument."""
    return archive(
        {
            "mimetype": f"application/vnd.oasis.opendocument.{kind}",
            "content.xml": f'<o xmlns:xlink="x" xmlns:script="s" xmlns:draw="d">{body}</o>',
            **(more or {}),
        }
    )


def relations(
    kind: str, target: str, *, mode: str = ' TargetMode="External"', encoding: str = "utf-8"
) -> bytes:
    """Write the relations of a part: one, to something outside unless `mode` says otherwise."""
    said = f'<Relationship Id="r" Type="{_RELATIONS}/{kind}" Target="{target}"{mode}/>'
    text = f'<?xml version="1.0" encoding="{encoding}"?><Relationships>{said}</Relationships>'
    return text.encode(encoding)


def field(*pieces: str) -> str:
    """Write a field of a text document, its code in pieces."""
    runs = "".join(f"<w:r><w:instrText>{piece}</w:instrText></w:r>" for piece in pieces)
    begin, end = (f'<w:r><w:fldChar w:fldCharType="{kind}"/></w:r>' for kind in ("begin", "end"))
    return f"<w:p>{begin}{runs}{end}</w:p>"


def pdf_of(*objects: bytes, root: bytes = b"") -> bytes:
    """Write a PDF by hand: a page, objects from number 4 on, and what the catalogue has beside its pages."""
    numbered = [
        b"<</Type/Catalog/Pages 2 0 R" + root + b">>",
        b"<</Type/Pages/Count 1/Kids[3 0 R]>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 100 100]>>",
        *objects,
    ]
    out, places = bytearray(b"%PDF-1.7\n"), []
    for number, one in enumerate(numbered, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, one)
    table = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(places) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (len(places) + 1, table)
    return bytes(out)


def pdf_with(key: str, value: PdfObject, *, compressed: bool = False, password: str | None = None) -> bytes:
    """Write a PDF by pypdf, with something in its catalogue; `compressed`: with its objects in streams."""
    made = PdfWriter()
    made.add_blank_page(100, 100)
    made.root_object[NameObject(key)] = value
    if password is not None:
        made.encrypt(password, "owner", algorithm="AES-256")
    out = io.BytesIO()
    made.write(out)
    return compact(out.getvalue()) if compressed else out.getvalue()


def action(kind: str, **more: str) -> DictionaryObject:
    """Make an action."""
    said = {NameObject(f"/{name}"): TextStringObject(text) for name, text in more.items()}
    return DictionaryObject({NameObject("/S"): NameObject(f"/{kind}"), **said})


def compact(content: bytes, *, filters: tuple[str, ...] = ("FlateDecode",), in_table: bool = True) -> bytes:
    """Move every object of a PDF that is no stream into a compressed stream, as programs do since PDF 1.5.

    Without `in_table`, its table of objects does not name the stream: readers have to look for it.
    """
    reader = PdfReader(io.BytesIO(content))
    numbers = sorted(number for table in reader.xref.values() for number in table if number)
    texts = []
    for number in numbers:
        text = io.BytesIO()
        found = reader.get_object(number)
        assert found is not None
        found.write_to_stream(text)
        texts.append(text.getvalue())
    starts = [sum(len(one) + 1 for one in texts[:place]) for place in range(len(numbers))]
    head = b" ".join(b"%d %d" % pair for pair in zip(numbers, starts, strict=True))
    packed = zlib.compress(head + b"\n" + b"\n".join(texts))
    for name in filters[:-1]:
        packed = {"ASCIIHexDecode": lambda data: data.hex().encode() + b">"}[name](packed)
    holder, table = max(numbers) + 1, max(numbers) + 2
    named = "".join(f"/{name}" for name in filters).encode()
    out = bytearray(b"%PDF-1.7\n")
    at = len(out)
    out += b"%d 0 obj<</Type/ObjStm/N %d/First %d/Length %d/Filter[%s]>>stream\n%s\nendstream endobj\n" % (
        *(holder, len(numbers), len(head) + 1, len(packed), named),
        packed,
    )
    rows = {0: (0, 0, 65535), holder: (1, at, 0), table: (1, len(out), 0)}
    rows |= {number: (2, holder, place) for place, number in enumerate(numbers)}
    if not in_table:
        rows.pop(holder)
    packed_rows = zlib.compress(
        b"".join(
            bytes([kind]) + first.to_bytes(4, "big") + second.to_bytes(2, "big")
            for kind, first, second in (rows.get(number, (0, 0, 0)) for number in range(table + 1))
        )
    )
    begins, root = len(out), reader.trailer.raw_get("/Root").idnum
    out += b"%d 0 obj<</Type/XRef/Size %d/W[1 4 2]/Root %d 0 R/Filter/FlateDecode/Length %d>>stream\n%s\n" % (
        *(table, table + 1, root, len(packed_rows)),
        packed_rows,
    )
    out += b"endstream endobj\nstartxref\n%d\n%%%%EOF\n" % begins
    return bytes(out)


def attachment() -> DictionaryObject:
    """Make the names of a file in a PDF, with the file."""
    stream = DecodedStreamObject()
    stream.set_data(b"MZ")
    spec = DictionaryObject({NameObject("/EF"): DictionaryObject({NameObject("/F"): stream})})
    listed = DictionaryObject({NameObject("/Names"): ArrayObject([TextStringObject("a.exe"), spec])})
    return DictionaryObject({NameObject("/EmbeddedFiles"): listed})
