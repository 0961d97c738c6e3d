"""The transcript: order and words, what hostile texts can do to it (nothing), and its look as text."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any
from uuid import UUID, uuid4

import pytest

from config import LANGUAGES
from rdchat.domain.message import Message, MessageType
from rdchat.domain.timeline import TimelineEntry
from rdchat.transcript import POLICY, Transcript
from rdchat.transcript.builder import (
    Day,
    FileLine,
    MessageLine,
    StatusLine,
    TranscriptBuilder,
    one_line,
    visible,
)
from rdchat.transcript.page import Page
from rdchat.transcript.plain import Plain
from rdchat.transcript.words import WORDS
from statemachine import Attachment, Session, Status

STARTS = datetime(2030, 1, 15, 16, 30, tzinfo=UTC)  # 23:30 in Jakarta
BUDI, SARI = uuid4(), uuid4()
#: A name that is written from right to left.
DAVID = "\u05d3\u05d5\u05d3"
MADE_AT = STARTS + timedelta(hours=2)


def session(**changes: Any) -> Session:
    values: dict[str, Any] = {
        "id": uuid4(),
        "counseling_id": uuid4(),
        "client_id": BUDI,
        "client_name": "Budi",
        "psychologist_id": SARI,
        "psychologist_name": "Dr. Sari",
        "starts_at": STARTS,
        "ends_at": STARTS + timedelta(hours=1),
        "created_at": STARTS - timedelta(days=2),
        "updated_at": STARTS,
        "client_timezone": "Asia/Jakarta",
        "status": Status.COMPLETED,
    }
    return Session(**values | changes)


def message(minutes: float, text: str, sender: UUID = BUDI, **changes: Any) -> Message:
    values: dict[str, Any] = {
        "id": uuid4(),
        "session_id": uuid4(),
        "seq": 1,
        "sender_id": sender,
        "sender_name": "Dr. Sari" if sender == SARI else "Budi",
        "text": text,
        "message_type": MessageType.TEXT,
        "client_message_id": None,
        "created_at": STARTS + timedelta(minutes=minutes),
    }
    return Message(**values | changes)


def line(minutes: float, trigger: str, source: str, to: str, actor: UUID | None = None) -> TimelineEntry:
    return TimelineEntry(uuid4(), trigger, actor, source, to, None, STARTS + timedelta(minutes=minutes))


BOOKED = line(-2880, "book", "pending", "pending", BUDI)
OPENED = line(0, "enable_chat", "pending", "active")
WARNED = line(55, "end_warning", "active", "ending_soon")
CLOSED = line(60, "auto_end", "ending_soon", "completed")


def written(form: str, told: Session, timeline: list[TimelineEntry], *pages: list[Message]) -> str:
    transcript = Transcript(form, told, timeline, timezone=told.client_timezone, generated_at=MADE_AT)
    return transcript.begin() + "".join(map(transcript.add, pages)) + transcript.finish()


class Outline(HTMLParser):
    """The elements and the text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += attrs
        if tag != "meta":
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self._open:
            self.text += data


# ---- order ------------------------------------------------------------------------------------------------


def test_days_turns_and_sayings_are_in_order_also_over_midnight_and_page_borders() -> None:
    builder = TranscriptBuilder(session(), "Asia/Jakarta", [BOOKED, OPENED, WARNED, CLOSED])
    pages = [
        [message(-10, "Sebentar, ya", SARI, message_type=MessageType.AUTOMATED)],
        [
            message(0, "Dimulai", SARI, message_type=MessageType.AUTOMATED),
            message(29, "Malam"),
            message(31, "Pagi"),
        ],
        [message(60, "Selesai", SARI, message_type=MessageType.AUTOMATED)],
    ]
    items = [item for page in pages for item in builder.of(page)] + list(builder.rest())
    shown = [
        str(item.date) if isinstance(item, Day) else item.what if isinstance(item, StatusLine) else item.text
        for item in items
    ]
    assert shown == [
        *("2030-01-15", "Sebentar, ya", "opened", "Dimulai", "Malam"),
        *("2030-01-16", "Pagi", "Selesai", "ended"),
    ]
    wall = [f"{item.at:%H:%M}" for item in items if not isinstance(item, Day)]
    assert wall == ["23:20", "23:30", "23:30", "23:59", "00:01", "00:30", "00:30"]


def test_clocks_that_differ_begin_no_day_twice() -> None:
    builder = TranscriptBuilder(session(), "Asia/Jakarta", [])
    items = list(builder.of([message(29.9, "a"), message(30.1, "b"), message(29.95, "c")]))
    assert [type(item) for item in items] == [Day, MessageLine, Day, MessageLine, MessageLine]


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (line(30, "end", "active", "completed", BUDI), ("ended_by", "Budi")),
        (line(30, "end", "active", "completed", SARI), ("ended_by", "Dr. Sari")),
        (CLOSED, ("ended", None)),
        (line(-60, "cancel", "pending", "cancelled", SARI), ("cancelled_by", "Dr. Sari")),
        (line(-60, "cancel", "pending", "cancelled", uuid4()), ("cancelled_for_all", None)),
        (line(9, "enable_chat", "pending", "cancelled"), ("missed", None)),
        (line(9, "auto_end", "pending", "cancelled"), ("missed", None)),
        (line(9, "reschedule", "pending", "pending", BUDI), None),
        (line(9, "auto_end", "completed", "completed"), None),
        (WARNED, None),
    ],
)
def test_who_ended_or_cancelled_is_told(
    entry: TimelineEntry, expected: tuple[str, str | None] | None
) -> None:
    turns = [
        item
        for item in TranscriptBuilder(session(), "Asia/Jakarta", [entry]).rest()
        if isinstance(item, StatusLine)
    ]
    assert [(turn.what, turn.name) for turn in turns] == ([expected] if expected else [])


# ---- words ------------------------------------------------------------------------------------------------


def test_every_language_has_every_word() -> None:
    assert set(WORDS) == set(LANGUAGES)
    assert {frozenset(words) for words in WORDS.values()} == {frozenset(WORDS["id"])}
    assert all(status.value in WORDS["id"] for status in Status)


def test_the_text_is_as_it_is_shown_here() -> None:
    talk = [
        message(-10, "Halo!", SARI, message_type=MessageType.AUTOMATED),
        message(1, "Saya cemas.\n\nSudah lama."),
        message(31, "Ceritakan."),
    ]
    ended = line(40, "end", "active", "completed", BUDI)
    assert written("txt", session(), [BOOKED, OPENED, ended], talk[:2], talk[2:]) == (
        """\
TRANSKRIP KONSELING
===================

Klien     Budi
Psikolog  Dr. Sari
Tanggal   Selasa, 15 Januari 2030
Waktu     23:30\u201300:30 (Asia/Jakarta, UTC+07:00)
Status    Selesai

------------------------------------------------------------

Selasa, 15 Januari 2030

23:20  Dr. Sari (otomatis)
       Halo!

23:30  * Chat dibuka

23:31  Budi
       Saya cemas.

       Sudah lama.

Rabu, 16 Januari 2030

00:01  Budi
       Ceritakan.

00:10  * Sesi diakhiri oleh Budi

------------------------------------------------------------
Dibuat pada Rabu, 16 Januari 2030, 01:30 (Asia/Jakarta, UTC+07:00).
Rahasia, hanya untuk kedua peserta sesi ini.
"""
    )


@pytest.mark.parametrize("form", ["txt", "html"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_session_that_has_not_begun_says_so(form: str, language: str) -> None:
    told = session(status=Status.PENDING, language=language, client_timezone="UTC")
    text = written(form, told, [BOOKED])
    words = WORDS[language]
    assert words["pending"] in text
    assert words["nothing"] in text
    assert "16:30\u201317:30 (UTC+00:00)" in text
    assert words["nothing"] not in written(form, told, [BOOKED], [message(0, "Halo")])


def test_an_attachment_is_named() -> None:
    file = FileLine("<b>.jpg")
    said = MessageLine(STARTS, "Budi", by_psychologist=False, text="", is_automated=False, file=file)
    assert "[Lampiran: <b>.jpg]" in Plain(session(), "Asia/Jakarta", MADE_AT).item(said)
    shown = Page(session(), "Asia/Jakarta", MADE_AT).item(said)
    assert "Lampiran: <bdi>&lt;b&gt;.jpg</bdi>" in shown
    assert 'class="text"' not in shown


@pytest.mark.parametrize(
    ("language", "duration_ms", "label"),
    [
        ("id", 42_400, "Pesan suara (0:42)"),
        ("en", 42_400, "Voice message (0:42)"),
        ("en", 59_900, "Voice message (1:00)"),
        ("en", 3_723_000, "Voice message (1:02:03)"),
        ("en", 80, "Voice message (0:01)"),
        ("id", None, "Pesan suara"),
    ],
)
def test_a_recording_is_named_with_its_duration(language: str, duration_ms: int | None, label: str) -> None:
    sent = Attachment(uuid4(), "rekaman.m4a", "audio/mp4", 9000, duration_ms=duration_ms)
    said = message(1, "Dengar", message_type=MessageType.AUDIO, attachment=sent)
    told = session(language=language)
    assert f"       Dengar\n       [{label}: rekaman.m4a]\n" in written("txt", told, [OPENED], [said])
    shown = written("html", told, [OPENED], [said])
    assert f'<p class="file">{label}: <bdi>rekaman.m4a</bdi></p>' in shown


# ---- hostile texts ----------------------------------------------------------------------------------------

HOSTILE = [
    "<script>alert(1)</script>",
    "</p></li></ol></main><h1>Dr. Sari</h1>",
    "\"' onload=x </style></title> <!-- --> ]]> &lt; &amp;amp;",
    "<img src=https://elsewhere.example/x onerror=alert(1)>",
    "\u202e\u2067 siapa \u202a ini",
    "\x00\x1b[2J\x1b]0;x\x07\x9b31m\x85\x7f",
    "a" * 4096,
    "👩\u200d👩\u200d👧\u200d👦" * 585,
    "\n" * 4000 + "x",
    "e\u0301" * 2000,
    "שלום עולם 123 (abc)",
    "{name} {when} %s {0.__class__}",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_becomes_more_than_text_in_the_page(text: str) -> None:
    plain = Outline(written("html", session(), [OPENED], [message(1, "x")]))
    evil_names = {"client_name": text[:200], "psychologist_name": text[:200]}
    page = written("html", session(**evil_names), [OPENED], [message(1, text, sender_name=text[:200])])
    outline = Outline(page)
    assert outline.elements == plain.elements
    assert [name for name, _ in outline.attributes] == [name for name, _ in plain.attributes]
    assert visible(text) in outline.text
    assert not {"script", "img", "link", "a", "iframe", "object", "form"} & set(outline.elements)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", page)
    assert not re.search(r"https?://", page.replace(text, "")) or "https://" in text
    page.encode()


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_can_pass_for_somebody_elses_line(text: str) -> None:
    forged = f"ya\r\n\r\n14:00  Dr. Sari\u2028       Setuju.\x0b14:01  Dr. Sari\x85* Chat ditutup{text}"
    told = written("txt", session(client_name=forged[:200]), [OPENED], [message(1, forged)])
    speaking = [one for one in told.splitlines() if re.match(r"\S", one) and "Sari" in one]
    # The table of names alone; all else that the text says is indented.
    assert [one.split()[0] for one in speaking] == ["Klien", "Psikolog"]
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", told)


def test_names_leave_the_rest_of_their_line_alone() -> None:
    assert one_line("Bu\u202edi\n\t 14:00\u2029 \x1b[2J") == "Budi 14:00 \ufffd[2J"
    hebrew = written("txt", session(client_name=DAVID), [], [message(1, "x", sender_name=DAVID)])
    assert f"\u2068{DAVID}\u2069" in hebrew
    page = written("html", session(client_name=DAVID), [], [message(1, "x", sender_name=DAVID)])
    assert page.count("<bdi") == page.count(DAVID) + 1


def test_the_policy_allows_the_pages_own_style_and_nothing_else() -> None:
    page = written("html", session(), [OPENED], [message(1, "Halo")])
    assert POLICY in page
    assert page.count("<style>") == 1
    assert "style=" not in page
    assert " on" not in "".join(re.findall(r"<[^>]+>", page.split("</style>")[1]))
    assert POLICY.startswith("default-src 'none'; style-src 'sha256-")
    assert 'lang="id"' in page
