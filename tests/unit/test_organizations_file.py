"""The file of organisations: its texts and contacts, checked before anything starts, and texts filled in."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

import config
from config import LANGUAGES, Organizations, automated_text, organizations
from config.contacts import CrisisContact, read_contact
from config.templates import LONGEST_TEXT, PLACEHOLDERS, parse
from config.texts import KINDS
from rdchat.domain.appointment import Appointment
from rdchat.texts import wording
from rdchat.texts.notifications import appointment_notification
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


def read(tmp_path: Path, text: str) -> tuple[Organizations, list[str]]:
    path = tmp_path / "organizations.toml"
    path.write_text(text, encoding="utf-8")
    texts, faults = organizations.read(path)
    return texts, [fault.removeprefix(f"{path}: ") for fault in faults]


def accepted(tmp_path: Path, text: str) -> Organizations:
    texts, faults = read(tmp_path, text)
    assert faults == []
    return texts


def test_without_a_file_the_texts_are_the_ones_of_the_contract() -> None:
    said = [wording.automated_text(Organizations(), kind, session()) for kind in KINDS]
    assert said == [WELCOME, OPENING, CLOSING]
    for language in LANGUAGES:
        for kind in KINDS:
            spoken = wording.automated_text(Organizations(), kind, session(language=language))
            assert spoken == automated_text(kind, language)


def test_placeholders_are_filled_in_with_wall_time_of_the_counselling(tmp_path: Path) -> None:
    texts = accepted(
        tmp_path,
        """
        [default.texts.id]
        enable_chat = "{clientName}, {psychologistName}: {date}, {startTime}-{endTime}, {minutes} {{menit}}"
        [default.texts.en]
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
    texts = accepted(tmp_path, '[default.texts.id]\nauto_end = "Sampai jumpa, {clientName}"')
    for name in ("{psychologistName}", "{0.__class__}", "}{", "%s"):
        said = wording.automated_text(texts, "auto_end", session(client_name=name))
        assert said == f"Sampai jumpa, {name}"


def test_an_organisation_goes_before_the_default_and_that_before_the_built_in(tmp_path: Path) -> None:
    texts = accepted(
        tmp_path,
        f"""
        [default.texts.id]
        initial_message = "default"
        enable_chat = "default"
        [organization."{CAMPUS}"]
        language = "en"
        [organization."{CAMPUS}".texts.id]
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
        [default.texts.id]
        initial_message = "Halo {{clientname}}"
        enable_chat = "Halo {{clientName"
        auto_end = "   "
        end_warning = "Sebentar lagi"
        [default.texts.fr]
        auto_end = "Au revoir"
        [default.texts.en]
        auto_end = 7
        enable_chat = "bell \\u0007"
        [organization.campus.texts.id]
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
        "default.texts.id.initial_message",
        "default.texts.id.enable_chat",
        "default.texts.id.auto_end",
        "default.texts.id.end_warning",
        "default.texts.fr",
        "default.texts.en.auto_end",
        "default.texts.en.enable_chat",
        "organization.campus",
        "organization.campus.texts.id.auto_end",
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
    path = tmp_path / "organizations.toml"
    if content is not None:
        path.write_bytes(content)
    _, (fault,) = organizations.read(path)
    assert fault.startswith(f"{path} ")
    assert word in fault


def test_a_directory_is_no_file(tmp_path: Path) -> None:
    _, (fault,) = organizations.read(tmp_path)
    assert "cannot be read" in fault


def test_the_example_loads_and_says_something_for_everything_it_names() -> None:
    path = Path(config.__file__).parent / "organizations.example.toml"
    texts, faults = organizations.read(path)
    assert faults == []
    assert set(texts.of) == {UUID(CAMPUS)}
    shown = path.read_text(encoding="utf-8")
    assert all(f"{{{name}}}" in shown for name in PLACEHOLDERS)
    assert all(kind in shown for kind in KINDS)
    english = session(language="en", organization_id=UUID(CAMPUS))
    said = wording.automated_text(texts, "enable_chat", english)
    assert said.startswith("Welcome, Budi Santoso. We have 50 minutes today, until 14:50.\nPlease")


def test_notifications_speak_every_language() -> None:
    told = {
        (language, kind): appointment_notification(
            Appointment.of_session(session(language=language)), uuid4(), uuid4(), kind, datetime.now(UTC)
        ).message
        for language in LANGUAGES
        for kind in NotificationType
    }
    for kind in NotificationType:
        in_each = {told[language, kind] for language in LANGUAGES}
        assert len(in_each) == len(LANGUAGES)
        assert all("{" not in text and text for text in in_each)


# ---- crisis contacts --------------------------------------------------------------------------------------


def test_contacts_are_those_of_the_organisation_else_those_for_all(tmp_path: Path) -> None:
    found = accepted(
        tmp_path,
        f"""
        [[default.crisis_contacts]]
        name = " SEJIWA "
        phone = "119 ext 8"
        hours = "24/7"
        reviewedAt = 2026-05-31
        [[default.crisis_contacts]]
        name = "Polisi"
        phone = "110"
        [organization."{CAMPUS}"]
        [[organization."{CAMPUS}".crisis_contacts]]
        name = "Kampus"
        url = "https://campus.example/bantuan?a=1"
        text = {{id = "Datang", en = "Come"}}
        [organization."{uuid4()}"]
        language = "en"
        """,
    )
    everyone = found.crisis_contacts(None)
    assert [one.name for one in everyone] == ["SEJIWA", "Polisi"]
    assert everyone[0].hours == {"id": "24/7", "en": "24/7"}
    assert [one.reviewed_on for one in everyone] == [date(2026, 5, 31), None]
    assert (everyone[0].phone, everyone[0].url, everyone[0].text) == ("119 ext 8", None, None)
    (campus,) = found.crisis_contacts(UUID(CAMPUS))
    assert campus == CrisisContact(
        "Kampus", None, "https://campus.example/bantuan?a=1", None, {"id": "Datang", "en": "Come"}
    )
    # One that names none of its own, and one that the file does not know.
    for organization_id in (*(one for one in found.of if one != UUID(CAMPUS)), uuid4()):
        assert found.crisis_contacts(organization_id) == everyone
    assert Organizations().crisis_contacts(None) == ()


GOOD: dict[str, Any] = {"name": "SEJIWA", "phone": "119"}


@pytest.mark.parametrize(
    ("table", "places"),
    [
        (1, [""]),
        ("119", [""]),
        ([], [""]),
        (None, [""]),
        ({}, ["", "name"]),
        ({"name": "SEJIWA"}, [""]),
        ({"phone": "119"}, ["name"]),
        *((GOOD | {"name": one}, ["name"]) for one in ("", "  ", 7, ["x"], "a\nb", "a\u202eb", "x" * 101)),
        *(
            (GOOD | {"phone": one}, ["phone"])
            for one in ("", "SEJIWA", "119 extra", "tel:119", "1" * 41, 119, "+", "1;2", "\u0661\u0661\u0669")
        ),
        *(
            (GOOD | {"url": one}, ["url"])
            for one in (
                *(
                    "",
                    "campus.example",
                    "http://campus.example",
                    "javascript:alert(1)",
                    "https://",
                    "https:///x",
                ),
                *(
                    "https://a b.example",
                    "https://me@campus.example",
                    "https://a.example:port",
                    "https://[::1",
                    7,
                ),
                "https://a.example/" + "x" * 300,
            )
        ),
        (GOOD | {"hours": {"id": "24 jam"}}, ["hours.en"]),
        (GOOD | {"hours": {"id": "24 jam", "en": "", "fr": "24 h"}}, ["hours", "hours.fr"]),
        (GOOD | {"text": {}}, ["text.id", "text.en"]),
        (GOOD | {"text": ["x"]}, ["text"]),
        (GOOD | {"text": "x" * 501}, ["text"]),
        *(
            (GOOD | {"reviewedAt": one}, ["reviewedAt"])
            for one in ("2026-05-31", "", 2026, datetime(2026, 5, 31, tzinfo=UTC))
        ),
        (GOOD | {"Phone": "1", "retention": 3}, ["Phone", "retention"]),
    ],
)
def test_a_contact_that_would_not_help_is_refused(table: object, places: list[str]) -> None:
    faults: list[tuple[tuple[str, ...], str]] = []
    assert read_contact(table, lambda place, sentence: faults.append((place, sentence))) is None
    told = [".".join(place) for place, _ in faults]
    assert len(told) == len(places)
    assert {one.partition(".")[0] for one in told} == {one.partition(".")[0] for one in places}
    assert all(sentence.endswith(".") for _, sentence in faults)


@pytest.mark.parametrize(
    "phone", ["119", "119 ext 8", "119 ext. 8", "+62 21 500 454", "(021) 500-454", "0800/1234", "+1.555.0100"]
)
def test_numbers_as_people_write_them_are_taken(phone: str) -> None:
    contact = read_contact({"name": "SEJIWA", "phone": phone}, lambda *fault: pytest.fail(str(fault)))
    assert contact == CrisisContact("SEJIWA", phone)


def test_faults_of_contacts_are_said_with_their_places(tmp_path: Path) -> None:
    contacts = "\n".join('[[default.crisis_contacts]]\nname = "A"\nphone = "1"' for _ in range(21))
    _, faults = read(
        tmp_path,
        f"""
        {contacts}
        [organization."{CAMPUS}"]
        retention_days = 0
        texts = "Halo"
        [[organization."{CAMPUS}".crisis_contacts]]
        name = "B"
        phone = "1"
        [[organization."{CAMPUS}".crisis_contacts]]
        phone = "x"
        [organization."{uuid4()}"]
        crisis_contacts = "119"
        """,
    )
    places = [fault.partition(": ")[0] for fault in faults]
    own = f"organization.{CAMPUS}"
    assert places[:-1] == [
        "default.crisis_contacts",
        f"{own}.retention_days",
        f"{own}.texts",
        f"{own}.crisis_contacts.2.name",
        f"{own}.crisis_contacts.2.phone",
    ]
    assert places[-1].endswith(".crisis_contacts")
    assert "Must be a whole number of days, from 1 to 36525." in faults[1]


@pytest.mark.parametrize("days", ["true", "1.5", '"30"', "36526", "-1"])
def test_a_retention_is_a_whole_number_of_days(tmp_path: Path, days: str) -> None:
    _, faults = read(tmp_path, f"[default]\nretention_days = {days}")
    assert [fault.partition(": ")[0] for fault in faults] == ["default.retention_days"]


def test_retention_is_an_organizations_own_or_that_of_all(tmp_path: Path) -> None:
    organizations, faults = read(
        tmp_path,
        f"""
        [default]
        retention_days = 365
        [organization."{CAMPUS}"]
        retention_days = 30
        [organization."{uuid4()}"]
        language = "en"
        """,
    )
    assert (faults, organizations.retention()) == ([], (365, {UUID(CAMPUS): 30}))
    assert read(tmp_path, "")[0].retention() == (None, {})


def test_a_file_that_is_nested_beyond_reason_is_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "organizations.toml"
    path.write_text("a = " + "[" * 100_000)
    _, (fault,) = organizations.read(path)
    assert "is no TOML file" in fault
