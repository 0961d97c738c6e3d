"""What a document is, by its content; what is none of those that may be sent is refused."""

from __future__ import annotations

import io
import zipfile

import pytest

from rdchat.files import kinds
from rdchat.files.examination import examine
from rdchat.files.kinds import UnacceptableError

PDF = b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
OOXML = "application/vnd.openxmlformats-officedocument"


def archive(entries: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        for name, content in entries.items():
            # Without the present instant in it.
            made.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def office(part: str, family: str, **more: bytes) -> bytes:
    listed = f'<Types><Override ContentType="{OOXML}.{family}.main+xml"/></Types>'.encode()
    extra = {name.replace("__", "/").replace("_DOT_", "."): content for name, content in more.items()}
    return archive({"[Content_Types].xml": listed, part: b"<x/>", **extra})


def open_document(kind: kinds.Kind, **more: bytes) -> bytes:
    return archive({"mimetype": kind.content_type.encode(), "content.xml": b"<x/>", **more})


DOCX = office("word/document.xml", "wordprocessingml.document")


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (PDF, kinds.PDF),
        (b"Halo, apa kabar?\r\n\tBaik <3", kinds.TEXT),
        ("\ufeffTidur: 5 jam 😴, nilai < 7 & > 3".encode(), kinds.TEXT),
        (DOCX, kinds.DOCX),
        (office("xl/workbook.xml", "spreadsheetml.sheet"), kinds.XLSX),
        (office("ppt/presentation.xml", "presentationml.presentation"), kinds.PPTX),
        (open_document(kinds.ODT), kinds.ODT),
        (open_document(kinds.ODS), kinds.ODS),
        (open_document(kinds.ODP), kinds.ODP),
    ],
)
def test_documents_are_known_by_their_content(content: bytes, kind: kinds.Kind) -> None:
    finding = examine(content)
    assert (finding.kind, finding.rewritten, finding.width) == (kind, None, None)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b" \n\t ",
        b"MZ\x90\x00\x03" + b"\0" * 200,
        b"\x7fELF\x02\x01\x01" + b"\0" * 200,
        b"\xca\xfe\xba\xbe\x00\x00\x00\x34",
        b"<!DOCTYPE html><p>Halo",
        b"  \n<HTML><body onload=alert(1)>",
        b"Halo <script>alert(1)</script>",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"<?xml version='1.0'?><svg/>",
        b"<?php system('id');",
        b"#!/bin/sh\nrm -rf ~\n",
        b"%!PS-Adobe-3.0\n",
        b"{\\rtf1 Halo}",
        b"Halo\x00dunia",
        b"Halo\x1b[2Jdunia",
        "Halo, dunia".encode("utf-16"),
        b"Halo \xff\xfe dunia",
        b"%PDF-1.7\nendless",
        b"BM" + b"\0" * 100,
        b"II*\x00" + b"\0" * 100,
        b"\x00\x00\x00\x18ftypheic" + b"\0" * 100,
        b"Rar!\x1a\x07\x00" + b"\0" * 50,
        b"\x1f\x8b\x08\x00" + b"\0" * 50,
        b"PK\x03\x04 and no more",
        archive({"halo.txt": b"Halo"}),
        archive({"[Content_Types].xml": b"<Types/>", "word/document.xml": b"<x/>"}),
        archive({"mimetype": b"application/epub+zip", "content.xml": b"<x/>"}),
        DOCX[:-30],
        DOCX[:40],
        b"MZ" + DOCX,
    ],
)
def test_everything_else_is_refused(content: bytes) -> None:
    with pytest.raises(UnacceptableError, match=r"^Must (be an image|not be empty)|^The PDF is damaged"):
        examine(content)


@pytest.mark.parametrize(
    "content",
    [
        office("word/document.xml", "wordprocessingml.document", word__vbaProject_DOT_bin=b"x"),
        office("word/document.xml", "wordprocessingml.document", word__activeX__activeX1_DOT_bin=b"x"),
        office("word/document.xml", "wordprocessingml.document", word__embeddings__oleObject1_DOT_bin=b"x"),
        office("xl/workbook.xml", "spreadsheetml.sheet", xl__macrosheets__sheet1_DOT_xml=b"x"),
        archive(
            {
                "[Content_Types].xml": b"<Override ContentType='application/vnd.ms-word.document."
                b"macroEnabled.main+xml'/><x ContentType='wordprocessingml.document.main+xml'/>",
                "word/document.xml": b"<x/>",
            }
        ),
        archive(
            {
                "mimetype": kinds.ODT.content_type.encode(),
                "content.xml": b"<x/>",
                "Basic/Standard/Module1.xml": b"x",
            }
        ),
        archive({"mimetype": kinds.ODT.content_type.encode(), "content.xml": b"<x/>", "Scripts/a.py": b"x"}),
    ],
)
def test_macros_are_refused_by_name(content: bytes) -> None:
    with pytest.raises(UnacceptableError, match=r"^Documents with macros cannot be sent"):
        examine(content)


def test_archives_that_are_amiss_are_refused() -> None:
    base = {"[Content_Types].xml": f"{OOXML}.wordprocessingml.document.main+xml".encode()}
    base["word/document.xml"] = b"<x/>"
    assert examine(archive(base)).kind is kinds.DOCX
    many = {f"word/media/{n}.png": b"" for n in range(5000)}
    bomb = {"word/media/1.png": bytes(300 * 1024 * 1024)}
    for more in (many, bomb, {"../../etc/passwd": b"x"}, {"/etc/passwd": b"x"}):
        with pytest.raises(UnacceptableError, match=r"^Must be an image"):
            examine(archive(base | more))
    with pytest.raises(UnacceptableError, match=r"^Documents with macros cannot be sent"):
        examine(archive(base | {"run.exe": b"MZ"}))
    locked = bytearray(archive(base))
    central = locked.rindex(b"PK\x01\x02")
    locked[central + 8] |= 1
    with pytest.raises(UnacceptableError, match=r"^Must be an image"):
        examine(bytes(locked))
