"""The demo's verdict: it holds for what ought to be seen, and fails for everything else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from config import automated_text
from rdchat.local.demo.checks import Check, verdict
from rdchat.local.demo.evidence import Evidence, Heard, Trial, Witness

if TYPE_CHECKING:
    from collections.abc import Callable

START = datetime(2026, 11, 22, 7, 0, tzinfo=UTC)
BUDI, RATNA = "id-of-budi", "id-of-ratna"
NAMES = {BUDI: "Budi", RATNA: "Ratna"}
DUE = {"initial_message": -3, "enable_chat": 0, "end_warning": 8, "auto_end": 12}


def iso(seconds: float) -> str:
    return (START + timedelta(seconds=seconds)).isoformat()


def message(seq: int, sender: str, text: str, kind: str = "text") -> dict[str, Any]:
    return {
        "id": f"message-{seq}",
        "seq": seq,
        "senderId": sender,
        "sender": {"fullName": NAMES[sender]},
        "message": text,
        "messageType": kind,
        "isAutomated": kind == "automated",
    }


def heard(name: str, data: dict[str, Any], client_id: str | None = None) -> Heard:
    return Heard(name, data, client_id, START)


def spoken(shown: dict[str, Any]) -> Heard:
    return heard("message", {**shown, "content": shown["message"]})


def status(name: str) -> Heard:
    return heard("session-status", {"status": name})


def typing(person: str, *, is_typing: bool) -> Heard:
    # The payload may claim what it likes: the clientId counts.
    return heard("typing", {"userId": "somebody else", "isTyping": is_typing}, person)


def witness(person: str, history: list[dict[str, Any]]) -> Witness:
    welcome, hello, question, answer, goodbye = map(spoken, history)
    return Witness(
        NAMES[person],
        person,
        present=[BUDI, RATNA],
        typed=[True, False],
        history=list(history),
        heard=[
            *(welcome, hello, status("chat_enabled"), heard("notification", {"type": "chat_enabled"})),
            *(typing(BUDI, is_typing=True), typing(BUDI, is_typing=False), question),
            status("ending_soon"),
            *(typing(RATNA, is_typing=True), typing(RATNA, is_typing=False), answer),
            *(goodbye, status("completed"), heard("notification", {"type": "session_completed"})),
        ],
    )


@pytest.fixture
def seen() -> Evidence:
    """Everything as it ought to be."""
    history = [
        message(1, RATNA, automated_text("initial_message", "id"), "automated"),
        message(2, RATNA, automated_text("enable_chat", "id"), "automated"),
        message(3, BUDI, "Halo?"),
        message(4, RATNA, "Halo, Budi."),
        message(5, RATNA, automated_text("auto_end", "id"), "automated"),
    ]
    return Evidence(
        client=witness(BUDI, history),
        psychologist=witness(RATNA, history),
        script=[(BUDI, "Halo?"), (RATNA, "Halo, Budi.")],
        planned={kind: iso(due) for kind, due in DUE.items()},
        trials=[Trial("A stranger writes", "403 NOT_PARTICIPANT", "403 NOT_PARTICIPANT")],
        session={
            "endReason": "auto_ended",
            "isChatEnabled": False,
            "automations": [
                {"kind": kind, "status": "done", "dueAt": iso(due), "executedAt": iso(due + 0.002)}
                for kind, due in DUE.items()
            ],
        },
        timeline=[
            {"from": "pending", "to": "pending"},
            {"from": "pending", "to": "active"},
            {"from": "active", "to": "ending_soon"},
            {"from": "ending_soon", "to": "completed"},
        ],
    )


def failed(seen: Evidence) -> list[Check]:
    return [check for check in verdict(seen) if not check.holds]


def place(witness: Witness, name: str, number: int = 0) -> int:
    return [index for index, one in enumerate(witness.heard) if one.name == name][number]


def lose(name: str) -> Callable[[Evidence], None]:
    def change(seen: Evidence) -> None:
        del seen.client.heard[place(seen.client, name)]

    return change


def double(name: str) -> Callable[[Evidence], None]:
    def change(seen: Evidence) -> None:
        where = place(seen.client, name)
        seen.client.heard.insert(where, seen.client.heard[where])

    return change


def swap(name: str) -> Callable[[Evidence], None]:
    def change(seen: Evidence) -> None:
        first, second = (place(seen.client, name, number) for number in (0, 1))
        events = seen.client.heard
        events[first], events[second] = events[second], events[first]

    return change


def change_automation(**changes: Any) -> Callable[[Evidence], None]:
    return lambda seen: seen.session["automations"][2].update(changes)


def test_what_ought_to_be_seen_holds(seen: Evidence) -> None:
    assert failed(seen) == []
    checks = verdict(seen)
    assert len(checks) > 10
    assert all(check.difference() == [] for check in checks)


@pytest.mark.parametrize(
    ("change", "title"),
    [
        (lose("message"), "Budi heard every message"),
        (double("message"), "Budi heard every message"),
        (swap("message"), "Budi heard every message"),
        (lose("session-status"), "Budi heard every change of status"),
        (double("session-status"), "Budi heard every change of status"),
        (swap("session-status"), "Budi heard every change of status"),
    ],
)
def test_a_missing_a_doubled_and_a_swapped_event(
    seen: Evidence, change: Callable[[Evidence], None], title: str
) -> None:
    change(seen)
    titles = [check.title for check in failed(seen)]
    assert titles[0].startswith(title)
    assert titles[1:] == ["Both heard messages and changes of status in the same order"]


def test_a_status_that_moved_among_the_messages(seen: Evidence) -> None:
    warning = seen.client.heard.pop(place(seen.client, "session-status", 1))
    seen.client.heard.insert(0, warning)
    seen.client.heard[0], seen.client.heard[1] = seen.client.heard[1], warning
    assert [check.title for check in failed(seen)][-1].startswith("Both heard")


def other_text(seen: Evidence) -> None:
    for one in seen.witnesses:
        one.history[2] = message(3, BUDI, "Halo!")
        one.heard[place(one, "message", 2)] = spoken(one.history[2])


def gap_in_seq(seen: Evidence) -> None:
    for one in seen.witnesses:
        one.history[2] = {**one.history[2], "seq": 30}
        one.heard[place(one, "message", 2)] = spoken(one.history[2])


def wrong_automated_text(seen: Evidence) -> None:
    for one in seen.witnesses:
        one.history[0] = message(1, RATNA, "Halo!", "automated")
        one.heard[place(one, "message")] = spoken(one.history[0])


def pretended_typing(seen: Evidence) -> None:
    where = place(seen.psychologist, "typing")
    seen.psychologist.heard[where] = typing("a stranger", is_typing=True)


@pytest.mark.parametrize(
    ("change", "title"),
    [
        (other_text, "The history holds"),
        (gap_in_seq, "The history holds"),
        (wrong_automated_text, "The history holds"),
        (lambda seen: seen.script.pop(), "The history holds"),
        (lambda seen: seen.client.present.pop(), "Each saw both present"),
        (lambda seen: seen.psychologist.present.append("a stranger"), "Each saw both present"),
        (lambda seen: seen.trials.append(Trial("He writes", "400 A", "201")), "He writes → 400 A"),
        (lambda seen: seen.client.typed.append(True), "Ratna saw each time that Budi typed"),
        (lambda seen: seen.psychologist.typed.clear(), "Budi saw each time that Ratna typed"),
        (pretended_typing, "Ratna saw each time that Budi typed"),
        (double("notification"), "Each was notified"),
        (lose("notification"), "Each was notified"),
        (change_automation(status="skipped"), "All four automations are done"),
        (change_automation(dueAt=iso(8.001)), "All four automations are done"),
        (change_automation(executedAt=iso(7.999)), "None of them ran early"),
        (change_automation(executedAt=iso(10.001)), "None of them ran early"),
        (change_automation(executedAt=None), "None of them ran early"),
        (lambda seen: seen.timeline.pop(), "The session went its whole way"),
        (lambda seen: seen.timeline.pop(2), "The session went its whole way"),
        (lambda seen: seen.session.update(isChatEnabled=True), "The session went its whole way"),
        (lambda seen: seen.session.update(endReason="ended_by_client"), "The session went its whole way"),
    ],
)
def test_everything_else_that_can_be_wrong(
    seen: Evidence, change: Callable[[Evidence], Any], title: str
) -> None:
    change(seen)
    assert [check.title.startswith(title) for check in failed(seen)] == [True]


def test_a_psychologist_who_is_notified_again(seen: Evidence) -> None:
    seen.psychologist.heard.append(heard("notification", {"type": "chat_enabled"}))
    assert [check.difference() for check in failed(seen)] == [
        ["came, but was not expected: Ratna: chat_enabled"]
    ]


def test_events_of_other_kinds_disturb_nothing(seen: Evidence) -> None:
    seen.client.heard.insert(5, heard("message-read", {"upToSeq": 3}))
    seen.client.heard.insert(5, heard("notification", {"type": "counseling_booked"}))
    assert failed(seen) == []


def test_a_failed_check_says_what_differs() -> None:
    assert Check("", ["a", "b"], ["a"]).difference() == ["expected, but did not come: b"]
    assert Check("", ["a"], ["a", "b", "b"]).difference() == ["came, but was not expected: b (2 times)"]
    assert Check("", ["a", "b", "c"], ["a", "c", "b"]).difference() == [
        "another order, from place 2 on: expected b",
        "but there came c",
    ]


def test_when_nothing_was_seen_nearly_nothing_holds() -> None:
    nothing = Evidence(Witness("Budi", BUDI), Witness("Ratna", RATNA), planned={"auto_end": iso(0)})
    holding = [check.title for check in verdict(nothing) if check.holds]
    # Nothing was said, typed or run that could have been lost.
    assert [title.split(" ", 1)[1] for title in holding] == [
        "heard every message of the history exactly once, in order of seq",
        "heard every message of the history exactly once, in order of seq",
        "heard messages and changes of status in the same order",
        "saw each time that Ratna typed and stopped",
        "saw each time that Budi typed and stopped",
        "of them ran early, none more than 2 s late",
    ]
