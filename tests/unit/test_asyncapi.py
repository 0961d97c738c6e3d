"""The AsyncAPI document: nothing leads nowhere, its examples are valid, and the page shows all of it."""

from __future__ import annotations

import re
from typing import Any

import orjson
import pytest
from jsonschema import Draft7Validator

from handlers.openapi import page
from handlers.server.application import api_document, events_document
from rdchat.events import channels
from tests.support.shapes import mismatches, references, resolve

DOCUMENT = events_document()
MESSAGES: dict[str, dict[str, Any]] = DOCUMENT["components"]["messages"]

each_message = pytest.mark.parametrize("name", MESSAGES)


def test_it_is_asyncapi_3_0_and_the_same_each_time() -> None:
    assert DOCUMENT["asyncapi"] == "3.0.0"
    assert orjson.dumps(events_document()) == orjson.dumps(DOCUMENT)


def test_every_reference_leads_somewhere_and_every_component_is_used() -> None:
    used = set(references(DOCUMENT))
    assert all(resolve(DOCUMENT, reference) for reference in used)
    for kind, found in DOCUMENT["components"].items():
        assert {f"#/components/{kind}/{name}" for name in found} <= used


def test_the_channels_are_those_that_are_published_on() -> None:
    names = {"sessionId": "11", "userId": "22"}
    addresses = {name: one["address"].format(**names) for name, one in DOCUMENT["channels"].items()}
    assert addresses == {
        "chat": channels.chat_channel("11"),  # type: ignore[arg-type]
        "typing": channels.typing_channel("11"),  # type: ignore[arg-type]
        "notifications": channels.notification_channel("22"),  # type: ignore[arg-type]
    }
    for channel in DOCUMENT["channels"].values():
        assert set(channel["parameters"]) == set(re.findall(r"{(\w+)}", channel["address"]))


def test_the_events_are_those_of_the_contract() -> None:
    carried = {name: list(channel["messages"]) for name, channel in DOCUMENT["channels"].items()}
    assert carried == {
        "chat": ["message", "session-status", "message-read"],
        "typing": ["typing"],
        "notifications": ["notification"],
    }
    schemas = DOCUMENT["components"]["schemas"]
    fields = {
        name: (set(schema["properties"]), set(schema["properties"]) - set(schema["required"]))
        for name, schema in schemas.items()
    }
    assert fields["MessageEvent"] == (
        {
            *("id", "sessionId", "seq", "senderId", "senderName", "content", "messageType", "isAutomated"),
            *("attachment", "clientMessageId", "createdAt"),
        },
        {"attachment", "clientMessageId"},
    )
    assert fields["SessionStatusEvent"] == (
        {"sessionId", "status", "endsAt", "minutesLeft", "endReason", "at"},
        {"minutesLeft", "endReason"},
    )
    assert fields["MessageReadEvent"] == ({"sessionId", "userId", "upToSeq", "readAt"}, set())
    assert fields["TypingEvent"] == ({"userId", "isTyping", "timestamp"}, set())
    assert fields["NotificationEvent"] == ({"id", "type", "title", "message", "data", "createdAt"}, set())
    assert set(schemas["SessionStatusEvent"]["properties"]["status"]["enum"]) == {
        *("chat_enabled", "ending_soon", "completed", "cancelled", "rescheduled")
    }


def test_a_client_receives_everything_and_sends_nothing_but_typing() -> None:
    done = {(one["action"], one["messages"][0]["$ref"]) for one in DOCUMENT["operations"].values()}
    assert {reference for action, reference in done if action == "receive"} == {
        f"#/channels/{channel}/messages/{event}"
        for channel, one in DOCUMENT["channels"].items()
        for event in one["messages"]
    }
    sent = {reference for action, reference in done if action == "send"}
    assert sent == {"#/channels/typing/messages/typing"}
    for operation in DOCUMENT["operations"].values():
        assert operation["messages"][0]["$ref"].startswith(operation["channel"]["$ref"] + "/")


@each_message
def test_every_event_has_examples_that_are_valid(name: str) -> None:
    message = MESSAGES[name]
    schema = message["payload"]
    whole = {"components": DOCUMENT["components"], "allOf": [schema]}
    Draft7Validator.check_schema(whole)
    assert message["examples"]
    for example in message["examples"]:
        found = Draft7Validator(whole, format_checker=Draft7Validator.FORMAT_CHECKER)
        assert [one.message for one in found.iter_errors(example["payload"])] == []
        assert list(mismatches(DOCUMENT, schema, example["payload"])) == []


def test_every_status_is_shown() -> None:
    status = DOCUMENT["components"]["schemas"]["SessionStatusEvent"]["properties"]["status"]
    shown = {one["payload"]["status"] for one in MESSAGES["session-status"]["examples"]}
    assert shown == set(status["enum"])


def test_every_field_is_described_and_openapi_s_own_words_are_not_used() -> None:
    for name, schema in DOCUMENT["components"]["schemas"].items():
        assert schema["description"], name
        for field, described in schema["properties"].items():
            assert described["description"].endswith("."), f"{name}.{field}"
            assert "example" not in described, f"{name}.{field}"


def test_the_page_shows_every_event_with_its_channel_and_its_fields() -> None:
    shown = page.render(api_document(), DOCUMENT)
    for channel in DOCUMENT["channels"].values():
        assert f"<code>{channel['address']}</code>" in shown
        for event in channel["messages"]:
            assert f'id="event-{event}"' in shown
            assert f'href="#event-{event}"' in shown
    section = shown[shown.index('id="realtime"') :]
    for schema in DOCUMENT["components"]["schemas"].values():
        for field in schema["properties"]:
            assert field in section
    assert "Realtime events" not in page.render(api_document())
