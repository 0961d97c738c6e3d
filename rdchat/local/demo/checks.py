"""The verdict: what was seen is compared with what should have been seen. Pure, so that it can be tested.

Both sides of a check are lists of short sentences. It holds when they are equal: nothing missing, nothing
twice, nothing in another order. Differences can then be reported in words.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from config import automated_text
from rdchat.events import channels
from rdchat.local.demo.evidence import path
from statemachine import AutomationKind, AutomationStatus, EndReason, Status
from statemachine.effects import NotificationType, StatusEvent

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rdchat.local.demo.evidence import Evidence, Heard, Witness

#: Later than this an automation failed its purpose, also on a machine that is busy with other things.
LATEST_MS: Final = 2_000
_LANGUAGE: Final = "id"
_NEWS: Final = (StatusEvent.CHAT_ENABLED, StatusEvent.ENDING_SOON, StatusEvent.COMPLETED)
_WAY: Final = (Status.PENDING, Status.ACTIVE, Status.ENDING_SOON, Status.COMPLETED)


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison."""

    title: str
    expected: list[str]
    came: list[str]

    @property
    def holds(self) -> bool:
        """Whether both sides are equal, order included."""
        return self.expected == self.came

    def difference(self) -> list[str]:
        """Return in words what differs."""
        missing = Counter(self.expected) - Counter(self.came)
        surplus = Counter(self.came) - Counter(self.expected)
        words = [f"expected, but did not come: {_times(what, n)}" for what, n in missing.items()]
        words += [f"came, but was not expected: {_times(what, n)}" for what, n in surplus.items()]
        if words or self.holds:
            return words
        pairs = enumerate(zip(self.expected, self.came, strict=True), start=1)
        place, wanted, got = next((place, a, b) for place, (a, b) in pairs if a != b)
        return [f"another order, from place {place} on: expected {wanted}", f"but there came {got}"]


def _times(what: str, number: int) -> str:
    return what if number == 1 else f"{what} ({number} times)"


def verdict(seen: Evidence) -> list[Check]:
    """Return all checks."""
    return [
        *(Check(f"{trial.what} → {trial.expected}", [trial.expected], [trial.came]) for trial in seen.trials),
        _both_were_present(seen),
        _history(seen),
        *(_heard_each_message(one) for one in seen.witnesses),
        *(_heard_each_status(one) for one in seen.witnesses),
        _heard_the_same(seen),
        _notified(seen),
        _saw_typing(seen, seen.client, seen.psychologist),
        _saw_typing(seen, seen.psychologist, seen.client),
        _automations(seen),
        _punctual(seen),
        _way(seen),
    ]


# ---- who received what ------------------------------------------------------------------------------------


def _both_were_present(seen: Evidence) -> Check:
    names = sorted(one.name for one in seen.witnesses)
    return Check(
        "Each saw both present on the chat channel",
        [f"{one.name} saw {', '.join(names)}" for one in seen.witnesses],
        [f"{one.name} saw {', '.join(sorted(map(seen.name_of, one.present)))}" for one in seen.witnesses],
    )


def _history(seen: Evidence) -> Check:
    psychologist = seen.psychologist.name
    welcome, hello, goodbye = (
        f"{psychologist}, automated: {automated_text(kind, _LANGUAGE)}"
        for kind in (AutomationKind.INITIAL_MESSAGE, AutomationKind.ENABLE_CHAT, AutomationKind.AUTO_END)
    )
    spoken = [f"{seen.name_of(person)}, text: {text}" for person, text in seen.script]
    expected = [welcome, hello, *spoken, goodbye]
    return Check(
        f"The history holds the {len(spoken)} messages and the 3 automated ones, numbered without a gap",
        [f"{seq}. {said}" for seq, said in enumerate(expected, start=1)],
        [
            f"{one['seq']}. {one['sender']['fullName']}, {one['messageType']}: {one['message']}"
            for one in seen.client.history
        ],
    )


def _heard_each_message(witness: Witness) -> Check:
    return Check(
        f"{witness.name} heard every message of the history exactly once, in order of seq",
        [_line(one, one["message"]) for one in witness.history],
        [_line(one.data, one.data["content"]) for one in witness.messages()],
    )


def _line(message: dict[str, Any], text: str) -> str:
    automated = "automated" if message["isAutomated"] else "written"
    return f"{message['seq']}. {text} [{automated}, by {message['senderId']}, id {message['id']}]"


def _heard_each_status(witness: Witness) -> Check:
    return Check(
        f"{witness.name} heard every change of status exactly once, in order",
        [str(news) for news in _NEWS],
        [str(one.data["status"]) for one in witness.statuses()],
    )


def _heard_the_same(seen: Evidence) -> Check:
    return Check(
        "Both heard messages and changes of status in the same order",
        *([_event(one) for one in witness.heard if _is_chat(one)] for witness in seen.witnesses),
    )


def _is_chat(heard: Heard) -> bool:
    return heard.name in (channels.MESSAGE, channels.SESSION_STATUS)


def _event(heard: Heard) -> str:
    if heard.name == channels.MESSAGE:
        return f"message {heard.data['seq']}"
    return f"status {heard.data['status']}"


def _notified(seen: Evidence) -> Check:
    wanted = (NotificationType.CHAT_ENABLED, NotificationType.SESSION_COMPLETED)
    return Check(
        "Each was notified of the opening and of the end, once of either",
        [f"{one.name}: {kind}" for one in seen.witnesses for kind in wanted],
        [f"{one.name}: {kind}" for one in seen.witnesses for kind in one.notifications() if kind in wanted],
    )


def _saw_typing(seen: Evidence, watcher: Witness, writer: Witness) -> Check:
    # Receivers trust the clientId that Ably vouches for, not what the payload says.
    return Check(
        f"{watcher.name} saw each time that {writer.name} typed and stopped",
        [_typing(writer.name, is_typing=is_typing) for is_typing in writer.typed],
        [
            _typing(seen.name_of(one.client_id), is_typing=one.data["isTyping"])
            for one in watcher.heard
            if one.name == channels.TYPING and one.client_id != watcher.person_id
        ],
    )


def _typing(name: str, *, is_typing: bool) -> str:
    return f"{name} {'types' if is_typing else 'stops'}"


# ---- automations ------------------------------------------------------------------------------------------


def _automations(seen: Evidence) -> Check:
    return Check(
        "All four automations are done, each planned for its instant",
        [f"{kind} {AutomationStatus.DONE}, planned for {at}" for kind, at in seen.planned.items()],
        [
            f"{one['kind']} {one['status']}, planned for {one['dueAt']}"
            for one in seen.session.get("automations", ())
        ],
    )


def _punctual(seen: Evidence) -> Check:
    offenders = [
        f"{one['kind']} at {one['executedAt']}, planned for {one['dueAt']}"
        for one in seen.session.get("automations", ())
        if not _on_time(one["dueAt"], one["executedAt"])
    ]
    return Check(f"None of them ran early, none more than {LATEST_MS // 1000} s late", [], offenders)


def _on_time(due_at: str, executed_at: str | None) -> bool:
    if executed_at is None:
        return False
    late = datetime.fromisoformat(executed_at) - datetime.fromisoformat(due_at)
    return 0 <= late.total_seconds() * 1000 <= LATEST_MS


def _way(seen: Evidence) -> Check:
    session = seen.session
    return Check(
        "The session went its whole way, and is closed",
        [*_states(_WAY), f"ended: {EndReason.AUTO_ENDED}", "chat open: False"],
        [
            *_states(path(seen.timeline, Status.PENDING)),
            f"ended: {session.get('endReason')}",
            f"chat open: {session.get('isChatEnabled')}",
        ],
    )


def _states(states: Iterable[str]) -> list[str]:
    return [f"state {number}: {state}" for number, state in enumerate(states, start=1)]
