"""What a document is, by its content; what is none of those that may be sent is refused, and told why."""

from __future__ import annotations

import io
import zipfile

import pytest
from pypdf import PdfWriter

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


def pdf(password: str | None = None, algorithm: str = "AES-256") -> bytes:
    """A PDF as programs write it. With a password, empty or not, it is encrypted; its owner has another."""
    made = PdfWriter()
    made.add_blank_page(100, 100)
    if password is not None:
        made.encrypt(password, "owner", algorithm=algorithm)
    out = io.BytesIO()
    made.write(out)
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (PDF, kinds.PDF),
        (pdf(), kinds.PDF),
        # Encrypted, so that it cannot be changed, and opened by everybody.
        (pdf(""), kinds.PDF),
        (pdf("", "RC4-128"), kinds.PDF),
        # As mail gateways and careless programs write them; readers look that far.
        (b"\r\n\r\n" + pdf(), kinds.PDF),
        (b"\xef\xbb\xbf" + PDF, kinds.PDF),
        (b"Content-Type: application/pdf\r\n\r\n" + PDF, kinds.PDF),
        (b"\0" * 1019 + PDF, kinds.PDF),
        (b"A PDF begins with %PDF-1.7.", kinds.TEXT),
        (b"Halo, apa kabar?\r\n\tBaik <3", kinds.TEXT),
        # Texts that begin as other files do.
        (b"FORMULIR pendaftaran", kinds.TEXT),
        (b"MZ, teman saya", kinds.TEXT),
        (b"BMI saya 31", kinds.TEXT),
        (b"ID3 itu apa?", kinds.TEXT),
        (b"Gelisah", kinds.TEXT),
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


SAID = "Tidur: 5 jam 😴, nilai < 7 & > 3\r\n"


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_texts_are_kept_in_utf_8(encoding: str) -> None:
    mark = "\ufeff" if encoding.endswith(("-le", "-be")) else ""
    finding = examine((mark + SAID).encode(encoding))
    assert (finding.kind, finding.rewritten) == (kinds.TEXT, SAID.encode())


ANYTHING = f"Must be {kinds.IN_WORDS}."
NO_PROGRAM = ("Programs cannot be sent.", "a program")
NO_VIDEO = ("Videos cannot be sent.", "a video")
NO_ARCHIVE = ("Send the files that are in it one by one.", "an archive")
NO_PAGE = ("Send it as PDF, or what matters as a text.", "a web page")
AS_JPEG = "Send it as JPEG or PNG."
AS_M4A = "Send it as M4A, MP3, Ogg, WebM or WAV."
OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500)
UNSAFE = ("The document cannot be opened safely. Send it as PDF.", None)
CUT_OFF = ("The document is cut off in the middle, or damaged.", None)


@pytest.mark.parametrize(
    ("content", "sentence", "found"),
    [
        (b"", "The file is empty.", None),
        (b" \n\t ", "The text is empty.", None),
        (b"\xff\xfe\xff\xfe", "The text is empty.", None),
        (b"MZ\x90\x00\x03" + bytes(200), *NO_PROGRAM),
        (b"\x7fELF\x02\x01\x01" + bytes(200), *NO_PROGRAM),
        (b"\xca\xfe\xba\xbe\x00\x00\x00\x34", *NO_PROGRAM),
        (b"\xcf\xfa\xed\xfe\x07\x00\x00\x01", *NO_PROGRAM),
        (b"dex\n035\0" + bytes(100), *NO_PROGRAM),
        (b"\0asm\x01\0\0\0", *NO_PROGRAM),
        (b"L\0\0\0\x01\x14\x02\0" + bytes(100), *NO_PROGRAM),
        (b"#!/bin/sh\nrm -rf ~\n", *NO_PROGRAM),
        (b"<?php system('id');", *NO_PROGRAM),
        (archive({"AndroidManifest.xml": b"x", "classes.dex": b"dex"}), *NO_PROGRAM),
        (archive({"META-INF/MANIFEST.MF": b"Main-Class: A"}), *NO_PROGRAM),
        (b"RIFF\0\0\0\0AVI LIST" + bytes(100), *NO_VIDEO),
        (b"\0\0\x01\xba" + bytes(100), *NO_VIDEO),
        (b"FLV\x01" + bytes(100), *NO_VIDEO),
        ((b"G" + bytes(187)) * 4, *NO_VIDEO),
        (b"<!DOCTYPE html><p>Halo", *NO_PAGE),
        (b"  \n<HTML><body onload=alert(1)>", *NO_PAGE),
        (b"Halo <script>alert(1)</script>", *NO_PAGE),
        ("<!doctype html><p>Halo".encode("utf-16"), *NO_PAGE),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "Send it as PNG.", "an SVG drawing"),
        (b"<?xml version='1.0'?><svg/>", "Send it as PNG.", "an SVG drawing"),
        (b"<?xml version='1.0'?><note/>", "Send what matters as a text.", "an XML file"),
        (b"%!PS-Adobe-3.0\n", "Send it as PDF.", "a PostScript document"),
        (b"{\\rtf1 Halo}", "Send it as PDF or DOCX.", "an RTF document"),
        (b"Halo\x00dunia", ANYTHING, None),
        (b"Halo\x1b[2Jdunia", ANYTHING, None),
        (bytes(range(256)), ANYTHING, None),
        (
            "Selamat pagi, caf\xe9".encode("latin-1"),
            "The text is neither in UTF-8 nor in UTF-16. Save it as UTF-8.",
            None,
        ),
        (
            "こんにちは".encode("shift-jis"),
            "The text is neither in UTF-8 nor in UTF-16. Save it as UTF-8.",
            None,
        ),
        ("Halo".encode("utf-16-le"), ANYTHING, None),
        ("Halo".encode("utf-32"), ANYTHING, None),
        ("\ufeffHalo".encode("utf-16-le")[:-1], ANYTHING, None),
        (b"%PDF-1.7\nendless", "The PDF is cut off in the middle, or damaged.", None),
        (pdf("geheim"), "Save it without a password.", "an encrypted PDF"),
        (pdf("geheim", "RC4-128"), "Save it without a password.", "an encrypted PDF"),
        (b"\0" * 1020 + PDF, ANYTHING, None),
        (b"<script>alert(1)</script>" + PDF, *NO_PAGE),
        (b"MZ" + bytes(100) + PDF, *NO_PROGRAM),
        (b"#!/bin/sh\n" + PDF, *NO_PROGRAM),
        (b"BM" + bytes(100), AS_JPEG, "a BMP image"),
        (b"II*\x00" + bytes(100), AS_JPEG, "a TIFF or raw image"),
        (b"MM\x00*" + bytes(100), AS_JPEG, "a TIFF or raw image"),
        (b"\xff\x0a" + bytes(100), AS_JPEG, "a JPEG XL image"),
        (b"\0\0\0\x0cJXL \x0d\x0a\x87\x0a" + bytes(100), AS_JPEG, "a JPEG XL image"),
        (b"\0\0\0\x0cjP  \x0d\x0a\x87\x0a" + bytes(100), AS_JPEG, "a JPEG 2000 image"),
        (b"8BPS\0\x01" + bytes(100), AS_JPEG, "a Photoshop image"),
        (b"\0\0\x01\0\x01\0" + bytes(100), AS_JPEG, "an icon"),
        (b"#!AMR\n" + bytes(100), AS_M4A, "an AMR recording"),
        (b"fLaC\0\0\0\x22" + bytes(100), AS_M4A, "a FLAC recording"),
        (b"FORM\0\0\0\0AIFF" + bytes(100), AS_M4A, "an AIFF recording"),
        (b"caff\0\x01\0\0" + bytes(100), AS_M4A, "a CAF recording"),
        (b"\xff\xf1\x50\x80" + bytes(100), AS_M4A, "an AAC stream"),
        (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11" + bytes(100), AS_M4A, "a Windows Media file"),
        (b"MThd\0\0\0\x06" + bytes(100), AS_M4A, "a MIDI file"),
        (b"RIFF\0\0\0\0RMID" + bytes(100), ANYTHING, None),
        (b"SQLite format 3\0" + bytes(100), "Send what matters as a text.", "a database"),
        (OLD_OFFICE, "Save it as DOCX, XLSX or PPTX, or as PDF.", "an office document in an old format"),
        (
            OLD_OFFICE + "EncryptedPackage".encode("utf-16-le"),
            "Save it without a password.",
            "an encrypted office document",
        ),
        (
            open_document(kinds.ODT, **{"META-INF/manifest.xml": b"<manifest:encryption-data/>"}),
            "Save it without a password.",
            "an encrypted office document",
        ),
        (b"Rar!\x1a\x07\x00" + bytes(50), *NO_ARCHIVE),
        (b"7z\xbc\xaf\x27\x1c" + bytes(50), *NO_ARCHIVE),
        (b"\x1f\x8b\x08\x00" + bytes(50), *NO_ARCHIVE),
        (b"PK\x05\x06" + bytes(18), *NO_ARCHIVE),
        (archive({"halo.txt": b"Halo"}), *NO_ARCHIVE),
        (archive({"halo.exe": b"MZ"}), *NO_ARCHIVE),
        (archive({"[Content_Types].xml": b"<Types/>", "word/document.xml": b"<x/>"}), *NO_ARCHIVE),
        (archive({"mimetype": b"application/epub+zip", "content.xml": b"<x/>"}), *NO_ARCHIVE),
        (b"PK\x03\x04 and no more", *CUT_OFF),
        (DOCX[:-30], *CUT_OFF),
        (DOCX[:40], *CUT_OFF),
        (b"MZ" + DOCX, *NO_PROGRAM),
    ],
)
def test_everything_else_is_refused_and_told_why(content: bytes, sentence: str, found: str | None) -> None:
    with pytest.raises(UnacceptableError) as caught:
        examine(content)
    assert (str(caught.value), caught.value.found) == (sentence, found)


def test_archives_that_are_amiss_are_refused() -> None:
    base = {"[Content_Types].xml": f"{OOXML}.wordprocessingml.document.main+xml".encode()}
    base["word/document.xml"] = b"<x/>"
    assert examine(archive(base)).kind is kinds.DOCX
    many = {f"word/media/{n}.png": b"" for n in range(5000)}
    bomb = {"word/media/1.png": bytes(300 * 1024 * 1024)}
    for more in (many, bomb, {"../../etc/passwd": b"x"}, {"/etc/passwd": b"x"}):
        with pytest.raises(UnacceptableError, match=r"^The document cannot be opened safely"):
            examine(archive(base | more))
    with pytest.raises(UnacceptableError, match=r"^Documents with programs in them cannot be sent"):
        examine(archive(base | {"run.exe": b"MZ"}))
    locked = bytearray(archive(base))
    central = locked.rindex(b"PK\x01\x02")
    locked[central + 8] |= 1
    with pytest.raises(UnacceptableError, match=r"^The document cannot be opened safely"):
        examine(bytes(locked))
