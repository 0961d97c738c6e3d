"""How late automations were, in calm and under each kind of fault."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.chaos.storm.faults import Struck
    from tests.chaos.storm.record import Record, Settled

#: What was hit takes a moment to find its feet: a connection to be opened again, a queue to be filled.
_RECOVERY: Final = timedelta(seconds=2)
#: Longer than the lease of a claimed timer (2 s), on a busy machine. Later than this in calm, and a timer was
#: forgotten, not merely lost by a worker that was slow to renew its lease.
UNEXPLAINED: Final = timedelta(seconds=5)
CALM: Final = "calm"


@dataclass(frozen=True, slots=True)
class Distribution:
    """Lateness of `count` automations, in milliseconds."""

    count: int
    p50: int
    p99: int
    worst: int

    @classmethod
    def of(cls, values: Sequence[int]) -> Distribution:
        """Sort and look. There must be at least one value."""
        ordered = sorted(values)
        last = len(ordered) - 1
        return cls(len(ordered), ordered[last // 2], ordered[round(last * 0.99)], ordered[-1])


def by_situation(record: Record, struck: Sequence[Struck]) -> dict[str, Distribution]:
    """Return the distribution over all automations that ran, then in calm, then under each kind of fault.

    An automation belongs to every fault that lasted, or had just ended, at any time between its due instant
    and its run; in calm to none.
    """
    kinds = sorted({one.kind.value for one in struck})
    values: dict[str, list[int]] = {name: [] for name in ("all", CALM, *kinds)}
    for _, one in _run(record):
        lateness = one.lateness_ms or 0
        for situation in {"all", *(_situations(one, struck) or {CALM})}:
            values[situation].append(lateness)
    return {situation: Distribution.of(found) for situation, found in values.items() if found}


def by_kind(record: Record) -> dict[str, Distribution]:
    """Return the distribution by kind of automation."""
    values: dict[str, list[int]] = {}
    for _, one in _run(record):
        values.setdefault(one.kind.value, []).append(one.lateness_ms or 0)
    return {kind: Distribution.of(found) for kind, found in values.items()}


def unexplained(record: Record, struck: Sequence[Struck]) -> list[str]:
    """List the automations that were very late while nothing was wrong, a sentence each."""
    limit_ms = UNEXPLAINED // timedelta(milliseconds=1)
    return [
        f"{session} {one.kind}: {one.lateness_ms} ms late in calm, due at {one.due_at:%H:%M:%S.%f}"
        for session, one in _run(record)
        if (one.lateness_ms or 0) > limit_ms and not _situations(one, struck)
    ]


def _run(record: Record) -> list[tuple[str, Settled]]:
    return [
        (str(life.id), one)
        for life in record.lives
        for one in life.automations.values()
        if one.executed_at is not None
    ]


def _situations(one: Settled, struck: Sequence[Struck]) -> set[str]:
    end = one.executed_at
    if end is None:
        return set()
    return {s.kind.value for s in struck if s.began <= end and s.ended + _RECOVERY >= one.due_at}
