"""What is added to an enumeration is added everywhere: each test names the file that was forgotten."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from marshmallow import validate

from config import LANGUAGES, automated_text
from config.texts import KINDS as SPEAKING
from handlers.api.presenters import counseling_json
from handlers.schemas import BookRequest, CounselingAnswer, NotificationEvent, Wording
from handlers.schemas.counselings import TimesRequest
from rdchat.domain import permissions
from rdchat.domain.booking import Slot
from rdchat.domain.counseling import Booking, Counseling
from rdchat.domain.message import WITH_ATTACHMENT, MessageType, type_of
from rdchat.domain.person import Role
from rdchat.files import kinds
from rdchat.redis.delay_queue import KIND_CODES
from rdchat.texts import calendar, notifications, wording
from rdchat.transcript.words import WORDS
from statemachine import RUN_ORDER, Attachment, AutomationKind
from statemachine import actions as do
from statemachine.diagram import markdown
from statemachine.schedule import Leads, due_in_words
from statemachine.table import TABLE
from tests.support.automations import LONG_BEFORE

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parents[2]
NOTIFICATIONS = next(
    tuple(one.choices)
    for one in NotificationEvent().fields["type"].validators
    if isinstance(one, validate.OneOf)
)


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


# ---- an automation ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", AutomationKind)
def test_what_an_automation_needs(kind: AutomationKind) -> None:
    assert kind in RUN_ORDER, f"statemachine/session.py: {kind} has no place in RUN_ORDER"
    assert kind in LONG_BEFORE, f"statemachine/schedule.py: nothing plans {kind}"
    assert kind in due_in_words(Leads()), f"statemachine/schedule.py: no words for when {kind} is due"
    assert f"\n- **`{kind}`** " in markdown(), f"statemachine/diagram.py: no words for a late {kind}"
    assert kind in KIND_CODES, f"rdchat/redis/delay_queue.py: no code for {kind} in KIND_CODES"
    assert kind in {row.trigger for row in TABLE}, f"statemachine/table.py: no row of {kind}"


def test_every_automation_has_a_code_of_its_own() -> None:
    assert len(set(KIND_CODES.values())) == len(KIND_CODES), (
        "rdchat/redis/delay_queue.py: a code is there twice"
    )


@pytest.mark.parametrize("kind", sorted({row.trigger for row in TABLE if do.say in row.actions}))
@pytest.mark.parametrize("language", LANGUAGES)
def test_what_an_automation_says(kind: str, language: str) -> None:
    assert kind in SPEAKING, f"config/texts.py: no words for {kind}"
    assert automated_text(kind, language), f"config/texts.py: no words for {kind} in {language!r}"
    assert f"{kind} (" in page("config/organizations.example.toml"), (
        f"config/organizations.example.toml: {kind} is not there"
    )


# ---- a notification ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", NOTIFICATIONS)
def test_what_a_notification_needs(kind: str) -> None:
    for language in LANGUAGES:
        words = notifications._WORDS.get(language, {})  # noqa: SLF001 - asked for what is not there
        assert kind in words, f"rdchat/texts/notifications.py: no words for {kind} in {language!r}"
    assert f"\n| `{kind}` |" in page("docs/realtime.md"), f"docs/realtime.md: no row for {kind}"
    assert f"\n| `notification.{kind}` |" in page("docs/webhooks.md"), f"docs/webhooks.md: no row for {kind}"


# ---- a language -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_a_language_needs(language: str) -> None:
    words: dict[str, Mapping[str, Any]] = {
        "rdchat/texts/wording.py: the weekdays": wording._WEEKDAYS,  # noqa: SLF001 - asked for what is not there
        "rdchat/texts/wording.py: the months": wording._MONTHS,  # noqa: SLF001
        "rdchat/texts/notifications.py: the words": notifications._WORDS,  # noqa: SLF001
        "rdchat/texts/calendar.py: the summary": calendar._SUMMARIES,  # noqa: SLF001
        "rdchat/transcript/words.py: the words": WORDS,
        "handlers/schemas/organizations.py: the field of Wording": Wording().fields,
    }
    for what, known in words.items():
        assert language in known, f"{what} in {language!r}"
    assert f"`{language}`" in page("docs/webhooks.md"), f"docs/webhooks.md: `locale` may be {language}"


def test_answers_have_words_in_no_other_language() -> None:
    assert set(Wording().fields) == set(LANGUAGES)


# ---- a message type ---------------------------------------------------------------------------------------


def sent(kind: kinds.Kind) -> Attachment:
    return Attachment(uuid4(), "x", kind.content_type, 1)


def test_what_a_type_of_messages_with_attachments_needs() -> None:
    made = {type_of(sent(kind)) for kind in kinds.KINDS.values()}
    for one in MessageType:
        if one in WITH_ATTACHMENT:
            assert one in made, f"rdchat/files/kinds.py: no kind of file is sent as {one}"
            assert f"`{one}`" in page("docs/realtime.md"), f"docs/realtime.md: {one} is not there"
    for one in made:
        assert one in WITH_ATTACHMENT, f"rdchat/domain/message.py: {one} is not in WITH_ATTACHMENT"


def test_every_kind_of_file_has_an_example() -> None:
    tried = "".join(page(f"tests/unit/test_{one}.py") for one in ("documents", "pictures", "recordings"))
    for name, value in vars(kinds).items():
        if isinstance(value, kinds.Kind):
            kept = kinds.KEPT_AS.get(value, value)
            assert kept.content_type in kinds.KINDS, f"rdchat/files/kinds.py: {name} is not in KINDS"
            assert f"kinds.{name}" in tried, f"tests/unit/test_documents.py: no example of {name}"


# ---- a role -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", Role)
def test_what_a_role_needs(role: Role) -> None:
    sets = [one for one in vars(permissions).values() if isinstance(one, frozenset)]
    assert any(role in one for one in sets), f"rdchat/domain/permissions.py: {role} is in no set"


# ---- a column of counsellings -----------------------------------------------------------------------------


def test_a_request_to_book_has_the_fields_of_a_booking() -> None:
    known = {one.name for one in fields(Booking)}
    # Of the times, `times` is made when the request is loaded, and the slot and the zone of these.
    for name in BookRequest().fields.keys() - TimesRequest().fields.keys():
        assert name in known, f"rdchat/domain/counseling.py: Booking has no {name}"


def test_an_answer_shows_what_its_schema_says() -> None:
    now = datetime(2030, 1, 1, 12, tzinfo=UTC)
    given: dict[str, Any] = {one.name: None for one in fields(Counseling)}
    given["slot"] = Slot(now, now + timedelta(hours=1), "UTC")
    given["client_timezone"] = given["psychologist_timezone"] = "UTC"
    shown = counseling_json(Counseling(**given), uuid4())
    for name, field in CounselingAnswer().fields.items():
        assert (field.data_key or name) in shown, f"handlers/api/presenters.py: {name} is not shown"
