"""Automated texts: built in, overridden, checked before anything starts, and filled in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

import config
from config import LANGUAGES, Texts, automated_text, texts_file
from config.templates import LONGEST_TEXT, PLACEHOLDERS, parse
from config.texts import KINDS
from rdchat.domain.appointment import Appointment
from rdchat.texts import wording
from rdchat.texts.notifications import notification_words
from statemachine import Session
from statemachine.effects import NotificationType
from tests.support.sessions import CLOSING, OPENING, WELCOME

CAMPUS = "6f1c2f0e-8a3b-4c59-9d7e-0b2a4c6d8e10"
STARTS = datetime(2030, 1, 15, 7, 0, tzinfo=UTC)


def session(**changes: object) -> Session:
    values: dict[str, object] = {
        "id": uuid4(),
        "counseling_id": uuid4(),
        "client_id": uuid4(),
        "client_name": "Budi Santoso",
        "psychologist_id": uuid4(),
        "psychologist_name": "Dr. Sari",
        "starts_at": STARTS,
        "ends_at": STARTS + timedelta(minutes=50),
        "created_at": STARTS,
        "updated_at": STARTS,
        "client_timezone": "Asia/Jakarta",
    }
    return Session(**values | changes)  # type: ignore[arg-type]


def read(tmp_path: Path, text: str) -> tuple[Texts, list[str]]:
    path = tmp_path / "texts.toml"
    path.write_text(text, encoding="utf-8")
    texts, faults = texts_file.read(path)
    return texts, [fault.removeprefix(f"RDCHAT_TEXTS: {path}: ") for fault in faults]


def accepted(tmp_path: Path, text: str) -> Texts:
    texts, faults = read(tmp_path, text)
    assert faults == []
    return texts


def test_without_a_file_the_texts_are_the_ones_of_the_contract() -> None:
    said = [wording.automated_text(Texts(), kind, session()) for kind in KINDS]
    assert said == [WELCOME, OPENING, CLOSING]
    for language in LANGUAGES:
        for kind in KINDS:
            spoken = wording.automated_text(Texts(), kind, session(language=language))
            assert spoken == automated_text(kind, language)


def test_placeholders_are_filled_in_with_wall_time_of_the_counselling(tmp_path: Path) -> None:
    texts = accepted(
        tmp_path,
        """
        [default.id]
        enable_chat = "{clientName}, {psychologistName}: {date}, {startTime}-{endTime}, {minutes} {{menit}}"
        [default.en]
        enable_chat = "{date} {startTime}"
        """,
    )
    said = wording.automated_text(texts, "enable_chat", session())
    assert said == "Budi Santoso, Dr. Sari: Selasa, 15 Januari 2030, 14:00-14:50, 50 {menit}"
    elsewhere = session(language="en", client_timezone="Pacific/Auckland")
    assert wording.automated_text(texts, "enable_chat", elsewhere) == "Tuesday, 15 January 2030 20:00"
    nowhere = session(language="en", client_timezone="Atlantis/Poseidonis")
    assert wording.automated_text(texts, "enable_chat", nowhere) == "Tuesday, 15 January 2030 07:00"
    uneven = session(starts_at=STARTS + timedelta(seconds=30), ends_at=STARTS + timedelta(minutes=2))
    said = wording.automated_text(texts, "enable_chat", uneven)
    assert said.endswith("14:00:30-14:02, 2 {menit}")


def test_a_name_with_braces_is_not_looked_through(tmp_path: Path) -> None:
    texts = accepted(tmp_path, '[default.id]\nauto_end = "Sampai jumpa, {clientName}"')
    for name in ("{psychologistName}", "{0.__class__}", "}{", "%s"):
        said = wording.automated_text(texts, "auto_end", session(client_name=name))
        assert said == f"Sampai jumpa, {name}"


def test_an_organisation_goes_before_the_default_and_that_before_the_built_in(tmp_path: Path) -> None:
    texts = accepted(
        tmp_path,
        f"""
        [default.id]
        initial_message = "default"
        enable_chat = "default"
        [organization."{CAMPUS}"]
        language = "en"
        [organization."{CAMPUS}".id]
        initial_message = "campus"
        """,
    )
    for organization_id, expected in (
        (UUID(CAMPUS), ["campus", "default", CLOSING]),
        (uuid4(), ["default", "default", CLOSING]),
        (None, ["default", "default", CLOSING]),
    ):
        one = session(organization_id=organization_id)
        assert [wording.automated_text(texts, kind, one) for kind in KINDS] == expected
    english = session(organization_id=UUID(CAMPUS), language="en")
    assert wording.automated_text(texts, "initial_message", english) == automated_text(
        "initial_message", "en"
    )
    assert [texts.language_of(one) for one in (UUID(CAMPUS), uuid4(), None)] == ["en", None, None]


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    _, faults = read(
        tmp_path,
        f"""
        organisation = 1
        [default]
        language = "id"
        [default.id]
        initial_message = "Halo {{clientname}}"
        enable_chat = "Halo {{clientName"
        auto_end = "   "
        end_warning = "Sebentar lagi"
        [default.fr]
        auto_end = "Au revoir"
        [default.en]
        auto_end = 7
        enable_chat = "bell \\u0007"
        [organization.campus.id]
        auto_end = "{"x" * 4000}{{clientName}}"
        [organization."{CAMPUS}"]
        language = "de"
        [organization."{CAMPUS.upper()}"]
        id = "Halo"
        """,
    )
    named = {fault.partition(": ")[0] for fault in faults}
    assert named == {
        "organisation",
        "default.language",
        "default.id.initial_message",
        "default.id.enable_chat",
        "default.id.auto_end",
        "default.id.end_warning",
        "default.fr",
        "default.en.auto_end",
        "default.en.enable_chat",
        "organization.campus",
        "organization.campus.id.auto_end",
        f"organization.{CAMPUS}.language",
        f"organization.{CAMPUS.upper()}",
        f"organization.{CAMPUS.upper()}.id",
    }
    assert len(faults) == len(named)


@pytest.mark.parametrize(
    "text",
    [
        *("{", "}", "{}", "{0}", "{clientName", "clientName}", "{clientName}}", "{{clientName}", "{{{"),
        *("{clientName!r}", "{clientName!}", "{clientName:>9}", "{clientName:{date}}", "{clientName.x}"),
        *("{clientName[0]}", "{date.__class__}", "{ clientName }", "{clientName }", "{CLIENTNAME}", "{a{b}}"),
        *("", " \n", "\x00", "\x1b[2J", "tab\t", "\x85"),
    ],
)
def test_what_is_no_placeholder_is_refused(text: str) -> None:
    template, faults = parse(text)
    assert template is None
    assert faults
    assert all(fault.endswith(".") for fault in faults)


@pytest.mark.parametrize("name", PLACEHOLDERS)
def test_a_text_may_be_as_long_as_a_message_with_the_longest_of_names(name: str) -> None:
    longest = "x" * (LONGEST_TEXT - PLACEHOLDERS[name])
    template, faults = parse(f"{longest}{{{name}}}")
    assert faults == []
    assert template is not None
    # Longer ones do not come; if one came, the text would still be a message.
    assert len(template.fill({name: "n" * 5000})) == LONGEST_TEXT
    assert parse(f"{longest}x{{{name}}}")[0] is None


def test_dates_and_times_are_as_short_as_is_reckoned_with() -> None:
    for language in LANGUAGES:
        for month in range(1, 13):
            for day in range(20, 28):
                words = wording.day_in_words(datetime(2030, month, day, tzinfo=UTC).date(), language)
                assert len(words) <= PLACEHOLDERS["date"]
    assert len(wording.time_in_words(datetime(2030, 1, 1, 23, 59, 59, tzinfo=UTC).time())) == 8


@pytest.mark.parametrize(
    ("content", "word"),
    [(b"[default", "TOML"), (b"\xff\xfe", "TOML"), (b'a = "\\u0000"\na = 1', "TOML"), (None, "read")],
)
def test_a_file_that_cannot_be_read_is_a_fault(tmp_path: Path, content: bytes | None, word: str) -> None:
    path = tmp_path / "texts.toml"
    if content is not None:
        path.write_bytes(content)
    _, (fault,) = texts_file.read(path)
    assert fault.startswith(f"RDCHAT_TEXTS: {path} ")
    assert word in fault


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    _, (fault,) = texts_file.read(tmp_path)
    assert "cannot be read" in fault


def test_the_example_loads_and_says_something_for_everything_it_names() -> None:
    path = Path(config.__file__).parent / "texts.example.toml"
    texts, faults = texts_file.read(path)
    assert faults == []
    assert set(texts.organizations) == {UUID(CAMPUS)}
    shown = path.read_text(encoding="utf-8")
    assert all(f"{{{name}}}" in shown for name in PLACEHOLDERS)
    assert all(kind in shown for kind in KINDS)
    english = session(language="en", organization_id=UUID(CAMPUS))
    said = wording.automated_text(texts, "enable_chat", english)
    assert said.startswith("Welcome, Budi Santoso. We have 50 minutes today, until 14:50.\nPlease")


def test_notifications_speak_every_language() -> None:
    told = {
        (language, kind): notification_words(
            Appointment.of_session(session(language=language)), uuid4(), kind
        )[1]
        for language in LANGUAGES
        for kind in NotificationType
    }
    for kind in NotificationType:
        in_each = {told[language, kind] for language in LANGUAGES}
        assert len(in_each) == len(LANGUAGES)
        assert all("{" not in text and text for text in in_each)
