"""The verdict: did every automation of every session take effect exactly once, or was it skipped by a rule?

Each session is judged from both sides. PostgreSQL says what became of its automations; from that follows
which messages, timeline lines and deliveries there must be, once each. What is missing is lost, what is there
twice is repeated, and everything else that is not as it should be is wrong.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from config import automated_text
from statemachine import AutomationKind, AutomationStatus, EndReason, Status
from tests.support.automations import ALWAYS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from uuid import UUID

    from tests.chaos.storm.record import Delivery, Life, Record, Settled

_INITIAL, _ENABLE = AutomationKind.INITIAL_MESSAGE, AutomationKind.ENABLE_CHAT
_WARNING, _END = AutomationKind.END_WARNING, AutomationKind.AUTO_END
_SPEAKING: Final = (_INITIAL, _ENABLE, _END)
_STATUS_OF: Final = {_ENABLE: "chat_enabled", _WARNING: "ending_soon", _END: "completed"}
_NOTIFIED_OF: Final = {_ENABLE: "chat_enabled", _END: "session_completed"}
#: For so long Ably itself drops an event whose id it has seen; later ones are dropped by clients.
_ABLY_WINDOW_MS: Final = 120_000
#: An effect: what it is, and what tells it from others of its kind.
Effect = tuple[str, str]


@dataclass(slots=True)
class Verdict:
    """`lost`, `repeated` and `wrong` hold a sentence for each finding; all of them must be empty.

    `skipped`: by (kind, reason) what a rule of the state machine did not run, each because it was late.
    `redelivered`: events that came again under the id they had before, which is no second effect;
    `redelivered_late` of them came when Ably had forgotten the id.
    """

    lost: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    skipped: Counter[tuple[str, str]] = field(default_factory=Counter)
    automations: Counter[str] = field(default_factory=Counter)
    sessions: Counter[str] = field(default_factory=Counter)
    redelivered: int = 0
    redelivered_late: int = 0

    @property
    def is_good(self) -> bool:
        """Whether everything happened exactly once."""
        return not (self.lost or self.repeated or self.wrong)


def judge(record: Record) -> Verdict:
    """Judge a storm by what is left of it."""
    verdict = Verdict()
    if len(record.lives) != record.booked:
        verdict.lost.append(f"{record.booked} sessions were booked, {len(record.lives)} are there")
    delivered: defaultdict[UUID, list[Delivery]] = defaultdict(list)
    for delivery in _once_each(record.deliveries, verdict):
        delivered[delivery.session_id].append(delivery)
    waiting = 0
    for life in record.lives:
        if min(one.due_at for one in life.automations.values()) > record.read_at:
            waiting += len(life.automations)
            _judge_untouched(life, delivered[life.id], verdict)
        else:
            _Judge(life, delivered[life.id], verdict).run()
    for unknown in delivered.keys() - {life.id for life in record.lives}:
        verdict.wrong.append(f"{unknown}: delivered for a session that does not exist")
    if record.queued != waiting:
        verdict.wrong.append(f"the delay queue holds {record.queued} jobs, {waiting} are still to come")
    for session_id, ids in record.heard.items():
        _judge_heard(session_id, ids, delivered[session_id], verdict)
    return verdict


def _once_each(deliveries: Sequence[Delivery], verdict: Verdict) -> Iterable[Delivery]:
    """Drop what came again under its id, as subscribers do, and count it."""
    first: dict[tuple[str, str], Delivery] = {}
    for delivery in deliveries:
        known = first.setdefault((delivery.channel, delivery.ably_id), delivery)
        if known is delivery:
            continue
        verdict.redelivered += 1
        verdict.redelivered_late += delivery.at_ms - known.at_ms > _ABLY_WINDOW_MS
        if (delivery.name, delivery.data) != (known.name, known.data):
            verdict.wrong.append(f"{known.session_id}: {known.ably_id} was delivered with two contents")
    return first.values()


def _judge_untouched(life: Life, delivered: Sequence[Delivery], verdict: Verdict) -> None:
    verdict.sessions["still to come"] += 1
    states = {one.status for one in life.automations.values()}
    if states != {AutomationStatus.SCHEDULED} or life.version or life.messages or delivered:
        verdict.wrong.append(f"{life.id}: not due yet, and no longer untouched")


def _judge_heard(session_id: UUID, heard: Sequence[str], sent: Sequence[Delivery], verdict: Verdict) -> None:
    ids = {one.ably_id for one in sent if one.channel.startswith("chat:")}
    for missing in ids - set(heard):
        verdict.lost.append(f"{session_id}: {missing} never reached the subscriber")
    for unknown in set(heard) - ids:
        verdict.wrong.append(f"{session_id}: the subscriber heard {unknown}, which no one sent")


class _Judge:
    """Judges one session that must be over."""

    def __init__(self, life: Life, delivered: Sequence[Delivery], verdict: Verdict) -> None:
        self._life = life
        self._delivered = delivered
        self._verdict = verdict
        self._missed = life.end_reason is EndReason.MISSED

    def run(self) -> None:
        life, verdict = self._life, self._verdict
        verdict.sessions["missed" if self._missed else life.status.value] += 1
        # Those of a session that starts soon after it was booked, as all of a storm do.
        for kind in ALWAYS:
            self._automation(kind, life.automations.get(kind))
        if life.status is not (Status.CANCELLED if self._missed else Status.COMPLETED):
            verdict.lost.append(f"{life.id}: still {life.status}")
        elif not self._missed and life.end_reason is not EndReason.AUTO_ENDED:
            verdict.wrong.append(f"{life.id}: ended by {life.end_reason}, and no one did that")
        done = {kind for kind, one in life.automations.items() if one.status is AutomationStatus.DONE}
        run = [kind for kind, one in life.automations.items() if one.executed_at is not None]
        spoken = [automated_text(kind, life.language) for kind in _SPEAKING if kind in done]
        self._compare(
            "timeline", [("line", kind) for kind in run], [("line", name) for _, name in life.triggers]
        )
        self._compare(
            "stored", [("message", text) for text in spoken], [("message", m.text) for m in life.messages]
        )
        self._compare("delivered", self._due_effects(done, spoken), map(_effect, self._delivered))
        self._numbers()

    # ---- automations --------------------------------------------------------------------------------------

    def _automation(self, kind: AutomationKind, one: Settled | None) -> None:
        life, verdict = self._life, self._verdict
        verdict.automations[kind] += 1
        where = f"{life.id} {kind}"
        if one is None:
            verdict.lost.append(f"{where}: there is no such automation")
            return
        if one.attempts:
            # Stores that are away do not count: something was refused that should not have been.
            verdict.wrong.append(f"{where}: failed {one.attempts} times ({one.reason})")
        if one.executed_at is not None and one.executed_at < one.due_at:
            verdict.wrong.append(f"{where}: run at {one.executed_at}, due only at {one.due_at}")
        match one.status:
            case AutomationStatus.DONE if one.executed_at is not None:
                pass
            case AutomationStatus.SKIPPED if self._was_late(one):
                verdict.skipped[kind, str(one.reason)] += 1
            case AutomationStatus.SKIPPED:
                verdict.wrong.append(f"{where}: skipped ({one.reason}) without having been late enough")
            case AutomationStatus.SCHEDULED | AutomationStatus.FAILED:
                verdict.lost.append(f"{where}: {one.status}, due at {one.due_at} ({one.reason})")
            case _:
                verdict.wrong.append(f"{where}: {one.status} ({one.reason})")

    def _was_late(self, one: Settled) -> bool:
        """Whether the rule that skipped it had reason to."""
        life, at = self._life, one.executed_at
        match one.kind, one.reason:
            case AutomationKind.INITIAL_MESSAGE, "start_was_due":
                return at is not None and at >= life.starts_at
            case AutomationKind.END_WARNING, "too_late_to_warn":
                return at is not None and (life.ends_at - at) * 5 < life.ends_at - one.due_at
            case AutomationKind.ENABLE_CHAT, EndReason.MISSED:
                return at is not None and at > life.automations[_WARNING].due_at
            case _, EndReason.MISSED:
                # Whatever was left when the start was found to be too late.
                return self._missed and at is None
        return False

    # ---- effects ------------------------------------------------------------------------------------------

    def _due_effects(self, done: set[AutomationKind], spoken: Sequence[str]) -> list[Effect]:
        """What subscribers must have been told, given what was done."""
        life = self._life
        told = [("message", text) for text in spoken]
        told += [("status", name) for kind, name in _STATUS_OF.items() if kind in done]
        notified = [name for kind, name in _NOTIFIED_OF.items() if kind in done]
        if self._missed:
            told.append(("status", "cancelled"))
            notified.append("session_missed")
        told += [
            (name, str(person)) for name in notified for person in (life.client_id, life.psychologist_id)
        ]
        return told

    def _compare(self, where: str, wanted: Iterable[Effect], found: Iterable[Effect]) -> None:
        life, verdict = self._life, self._verdict
        expected, counts = set(wanted), Counter(found)
        verdict.lost += [f"{life.id}: not {where}: {effect}" for effect in sorted(expected - counts.keys())]
        for effect, count in counts.items():
            if count > 1:
                verdict.repeated.append(f"{life.id}: {where} {count} times: {effect}")
            if effect not in expected:
                verdict.wrong.append(f"{life.id}: {where}, though not done: {effect}")

    def _numbers(self) -> None:
        """`seq` is dense, subscribers are told the same ones, and every commit has left its line."""
        life, verdict = self._life, self._verdict
        seqs = [message.seq for message in life.messages]
        if seqs != list(range(1, life.last_seq + 1)):
            verdict.wrong.append(f"{life.id}: seq {seqs}, the last is said to be {life.last_seq}")
        stored = {(message.id, message.seq, message.text) for message in life.messages}
        for one in self._delivered:
            if one.name == "message":
                told = (one.data["id"], one.data["seq"], one.data["content"])
                if told not in stored:
                    verdict.wrong.append(f"{life.id}: delivered {told}, which is not stored so")
        versions = {version for version, _ in life.triggers}
        if versions != set(range(1, life.version + 1)):
            verdict.wrong.append(f"{life.id}: version {life.version}, but lines of {sorted(versions)}")


def _effect(delivery: Delivery) -> Effect:
    match delivery.name:
        case "message":
            return "message", delivery.data["content"]
        case "session-status":
            return "status", delivery.data["status"]
        case "notification":
            return delivery.data["type"], delivery.channel.rpartition(":")[2]
    return delivery.name, delivery.ably_id
