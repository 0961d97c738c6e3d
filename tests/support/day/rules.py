"""What must hold of everything that the day has left in the stores."""

from __future__ import annotations

from collections import Counter
from itertools import groupby, pairwise
from typing import TYPE_CHECKING, Any

from config import automated_text
from rdchat.domain.message import WITH_ATTACHMENT
from statemachine import TERMINAL, Status
from statemachine.table import TABLE
from tests.support.automations import ALWAYS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.support.day.record import Record

    Row = dict[str, Any]

_PER_CLIENT, _PER_PSYCHOLOGIST = 1, 5
_SPEAKING = ("initial_message", "enable_chat", "auto_end")


def check_rules(record: Record) -> None:
    """Check every rule of every session, and all broken ones are named at once."""
    faults: list[str] = []
    for session in record["sessions"]:
        for rule in _OF_A_SESSION:
            faults += [f"{rule.__name__}: {session['id']}: {fault}" for fault in rule(record, session)]
    for rule_of_all in _OF_ALL:
        faults += [f"{rule_of_all.__name__}: {fault}" for fault in rule_of_all(record)]
    assert not faults, "\n".join(faults)


# ---- of each session --------------------------------------------------------------------------------------


def numbers_are_dense(record: Record, session: Row) -> Iterable[str]:
    seqs = [row["seq"] for row in record.of("messages", session)]
    if seqs != list(range(1, session["last_seq"] + 1)):
        yield f"{seqs}, last {session['last_seq']}"


def the_way_is_legal(record: Record, session: Row) -> Iterable[str]:
    legal = {
        (row.trigger, source.value, (row.destination or source).value)
        for row in TABLE
        for source in row.sources
    }
    state = Status.PENDING.value
    for line in record.of("timeline", session):
        step = line["trigger"], line["from_status"], line["to_status"]
        if line["from_status"] == line["to_status"] and line["outcome"] in ("cancelled", "skipped"):
            # It says of an automation that it will not be run.
            continue
        if line["from_status"] != state or (step not in legal and step != ("book", state, state)):
            yield f"{step} from {state}"
        if state in TERMINAL:
            yield f"{step} after its end"
        state = line["to_status"]
    if state != session["status"]:
        yield f"the timeline ends {state}, the session is {session['status']}"


def what_is_said_by_itself_is_said_once_a_plan(record: Record, session: Row) -> Iterable[str]:
    # What a plan had done already is taken over into the next: it is the same instant.
    ran = {(row["kind"], row["executed_at"]) for row in record.of("automations", session) if _done(row)}
    by_hand = [row for row in record.of("timeline", session) if row["trigger"] == "end"]
    wanted = Counter(
        automated_text(kind, session["language"]) for kind, _ in ran if kind in _SPEAKING
    ) + Counter(automated_text("auto_end", session["language"]) for _ in by_hand)
    automated = [row for row in record.of("messages", session) if row["message_type"] == "automated"]
    said = Counter(row["text"] for row in automated)
    if said != wanted:
        yield f"said {said}, wanted {wanted}"
    plans = {row["schedule_version"] for row in record.of("automations", session)}
    if said and max(said.values()) > len(plans):
        yield f"{said} in {len(plans)} plans"
    if any(row["sender_id"] != session["psychologist_id"] for row in automated):
        yield "not from the psychologist"


def nobody_writes_while_it_is_closed(record: Record, session: Row) -> Iterable[str]:
    for row in record.of("messages", session):
        at = row["created_at"]
        if row["message_type"] == "automated":
            if session["ended_at"] is not None and at > session["ended_at"]:
                yield f"{row['seq']} by itself after the end"
        elif session["started_at"] is None or at < session["started_at"]:
            yield f"{row['seq']} before it was open"
        elif session["ended_at"] is None or at > min(session["ended_at"], session["ends_at"]):
            yield f"{row['seq']} after the end"
        if row["sender_id"] not in (session["client_id"], session["psychologist_id"]):
            yield f"{row['seq']} from another person"


def a_plan_that_was_replaced_runs_no_more(record: Record, session: Row) -> Iterable[str]:
    replaced = [
        row["at"] for row in record.of("timeline", session) if row["trigger"] in ("reschedule", "extend")
    ]
    rows = record.of("automations", session)
    first = min(row["schedule_version"] for row in rows)
    if session["schedule_version"] != first + len(replaced):
        yield f"{len(replaced)} changes, but plan {session['schedule_version']} after {first}"
    for row in rows:
        age = row["schedule_version"] - first
        if age < len(replaced):
            if row["status"] in ("scheduled", "failed"):
                yield f"{row['kind']} of plan {row['schedule_version']} is {row['status']}"
            if _done(row) and row["executed_at"] > replaced[age]:
                yield f"{row['kind']} of plan {row['schedule_version']} ran after it was replaced"
    plans = Counter((row["schedule_version"], row["kind"]) for row in rows)
    versions = {version for version, _ in plans}
    missing = {(version, kind) for version in versions for kind in ALWAYS} - plans.keys()
    if missing or len(versions) != len(replaced) + 1:
        yield f"not every automation in every plan: {plans}"


def nothing_waits_of_what_is_over(record: Record, session: Row) -> Iterable[str]:
    for row in record.of("automations", session):
        if session["ended_at"] is not None and row["status"] not in ("done", "skipped", "cancelled"):
            yield f"{row['kind']} is {row['status']}"
        if _done(row) and (row["executed_at"] < row["due_at"] or row["lateness_ms"] < 0):
            yield f"{row['kind']} ran early"


def reading_goes_forwards(record: Record, session: Row) -> Iterable[str]:
    rows = record.of("reads", session)
    for person, steps in groupby(rows, key=lambda row: row["person_id"]):
        read = [row["up_to_seq"] for row in steps]
        if any(after <= before for before, after in pairwise(read)) or read[-1] > session["last_seq"]:
            yield f"{person} has read {read} of {session['last_seq']}"


_OF_A_SESSION: tuple[Callable[[Record, Row], Iterable[str]], ...] = (
    numbers_are_dense,
    the_way_is_legal,
    what_is_said_by_itself_is_said_once_a_plan,
    nobody_writes_while_it_is_closed,
    a_plan_that_was_replaced_runs_no_more,
    nothing_waits_of_what_is_over,
    reading_goes_forwards,
)


# ---- of all -----------------------------------------------------------------------------------------------


def nobody_has_more_at_once_than_they_may(record: Record) -> Iterable[str]:
    ended = {row["counseling_id"]: row["ended_at"] for row in record["sessions"]}
    held = [
        (row, min(row["ends_at"], ended.get(row["id"]) or row["ends_at"]))
        for row in record["counselings"]
        if row["status"] != "cancelled"
    ]
    for column, most in (("client_id", _PER_CLIENT), ("psychologist_id", _PER_PSYCHOLOGIST)):
        # It is fullest somewhere where one of them begins.
        for one, _ in held:
            at = one["starts_at"]
            together = sum(row[column] == one[column] and row["starts_at"] <= at < end for row, end in held)
            if together > most:
                yield f"{column} {one[column]} has {together} at {at}"


def a_counselling_is_as_its_session(record: Record) -> Iterable[str]:
    sessions = {row["counseling_id"]: row for row in record["sessions"]}
    for row in record["counselings"]:
        session = sessions.get(row["id"])
        if (session is not None) != (row["method"] == "chat"):
            yield f"{row['id']} by {row['method']} with {session}"
        if session is None:
            continue
        status = session["status"] if Status(session["status"]) in TERMINAL else "pending"
        told = row["status"], row["starts_at"], row["ends_at"], row["client_id"], row["psychologist_id"]
        if told != (
            status,
            *(session[name] for name in ("starts_at", "ends_at", "client_id", "psychologist_id")),
        ):
            yield f"{row['id']} is {told}, its session {session['status']}"


def every_file_has_its_message(record: Record) -> Iterable[str]:
    rows = record["attachments"]
    named = {f"{row['session_id']}/{row['id']}" for row in rows}
    if named != record.files:
        yield f"without a row {record.files - named}, without a file {named - record.files}"
    sent = Counter(row["id"] for row in record["messages"] if row["message_type"] in WITH_ATTACHMENT)
    if sent != Counter(row["message_id"] for row in rows):
        yield "attachments and messages do not belong together"


def nothing_is_left_to_do(record: Record) -> Iterable[str]:
    if record["outbox"]:
        yield f"{len(record['outbox'])} outbox entries were not delivered"
    if record.jobs_without_use:
        yield f"the delay queue holds {record.jobs_without_use}"


_OF_ALL = (
    nobody_has_more_at_once_than_they_may,
    a_counselling_is_as_its_session,
    every_file_has_its_message,
    nothing_is_left_to_do,
)


def _done(row: Row) -> bool:
    return bool(row["status"] == "done")
