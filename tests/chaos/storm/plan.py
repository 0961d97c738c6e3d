"""The plan of a storm: who meets when, and what goes wrong when. One seed gives one plan."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from uuid import UUID

#: No fault before the replicas have shown that they work, and none so late that nothing falls due after it.
_CALM_SECONDS: Final = 3.0
#: A reconciler's round comes every 30 s; what a booking did not queue must not be due before the next one.
_FOUND_SECONDS: Final = 36.0
_LEFT_TO_THE_RECONCILER: Final = 1 / 3


class FaultKind(StrEnum):
    """What goes wrong, as the report calls it."""

    REPLICA_KILLED = "replica killed"
    REPLICA_PAUSED = "replica paused"
    REPLICA_RESTARTED = "replica restarted"
    ALL_REPLICAS_KILLED = "all replicas killed"
    REDIS_FLUSHED = "Redis emptied"
    REDIS_FLUSHED_TWICE = "Redis emptied twice"
    REDIS_KILLED = "Redis killed"
    REDIS_LOST = "Redis killed, comes back empty"
    REDIS_CUT = "Redis connections cut"
    NOTIFICATIONS_OFF = "notifications off"
    POSTGRES_CUT = "PostgreSQL connections cut"


#: How long each lasts, from and to (seconds). A pause outlasts the lease of a claimed timer, which is 2 s.
_LASTS: Final = {
    FaultKind.REPLICA_KILLED: (0.1, 2.0),
    FaultKind.REPLICA_PAUSED: (7.0, 9.5),
    FaultKind.REPLICA_RESTARTED: (0.0, 0.5),
    FaultKind.ALL_REPLICAS_KILLED: (0.2, 2.0),
    FaultKind.REDIS_FLUSHED: (0.0, 0.0),
    FaultKind.REDIS_FLUSHED_TWICE: (0.02, 0.6),
    FaultKind.REDIS_KILLED: (0.2, 3.0),
    FaultKind.REDIS_LOST: (0.2, 3.0),
    FaultKind.REDIS_CUT: (0.0, 0.0),
    FaultKind.NOTIFICATIONS_OFF: (5.0, 10.0),
    FaultKind.POSTGRES_CUT: (0.0, 0.0),
}
#: However short the storm, it has these.
_FIRST: Final = (FaultKind.REPLICA_PAUSED, FaultKind.REPLICA_KILLED, FaultKind.REDIS_FLUSHED)
#: Killed and paused replicas are what the timers are built for: they come twice as often.
_DECK: Final = (*FaultKind, FaultKind.REPLICA_KILLED, FaultKind.REPLICA_PAUSED)


@dataclass(frozen=True, slots=True)
class Appointment:
    """A session to be booked; times are seconds after the storm's beginning.

    `is_queued`: whether its booking puts the timers into the queue, or dies before, and leaves that to the
    reconciler.
    """

    id: UUID
    booked: float
    starts: float
    ends: float
    initial_lead: float
    warning_lead: float
    is_queued: bool


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault: when it begins, how long it lasts (seconds), and which replica it should strike."""

    at: float
    kind: FaultKind
    seconds: float
    replica: int


@dataclass(frozen=True, slots=True)
class Plan:
    """All of it, in the order of time. `appointments` lie in the storm, those of `later` behind it."""

    seed: int
    seconds: float
    replicas: int
    appointments: tuple[Appointment, ...]
    later: tuple[Appointment, ...]
    faults: tuple[Fault, ...]


def make_plan(
    seed: int,
    *,
    seconds: float,
    replicas: int,
    rate: float,
    later: int = 0,
    gap: tuple[float, float],
    longest: float,
) -> Plan:
    """Lay out a storm.

    `rate`: sessions a second; `later`: sessions of the coming hours, which only make the queue long; `gap`:
    seconds between the beginnings of two faults, from and to; `longest`: how long a session may last.
    """
    dice = random.Random(seed)  # noqa: S311 - repeatable is what it has to be
    firsts = sorted(dice.uniform(1.0, seconds) for _ in range(round(rate * seconds)))
    return Plan(
        seed,
        seconds,
        replicas,
        tuple(_appointment(dice, first, longest) for first in firsts),
        tuple(_later(dice) for _ in range(later)),
        tuple(_faults(dice, seconds, replicas, gap)),
    )


def _appointment(dice: random.Random, first: float, longest: float) -> Appointment:
    initial_lead = dice.uniform(1.5, 9.0)
    starts = first + initial_lead
    is_queued = first < _FOUND_SECONDS or dice.random() > _LEFT_TO_THE_RECONCILER
    ahead = dice.uniform(0.5, 8.0) if is_queued else dice.uniform(_FOUND_SECONDS, 2 * _FOUND_SECONDS)
    return Appointment(
        id=_uuid(dice),
        booked=max(first - ahead, 0.0),
        starts=starts,
        ends=starts + dice.uniform(4.0, longest),
        initial_lead=initial_lead,
        warning_lead=dice.uniform(1.0, 6.0),
        is_queued=is_queued,
    )


def _later(dice: random.Random) -> Appointment:
    starts = dice.uniform(3.0, 20.0) * 3600
    return Appointment(_uuid(dice), 0.0, starts, starts + 3600, 600.0, 300.0, is_queued=False)


def _faults(dice: random.Random, seconds: float, replicas: int, gap: tuple[float, float]) -> list[Fault]:
    rest = [kind for kind in _DECK if kind not in _FIRST]
    cards = [*_shuffled(dice, _FIRST), *_shuffled(dice, rest)]
    faults = []
    at = _CALM_SECONDS
    while at < seconds - _CALM_SECONDS:
        cards = cards or _shuffled(dice, _DECK)
        kind = cards.pop(0)
        faults.append(Fault(at, kind, dice.uniform(*_LASTS[kind]), dice.randrange(replicas)))
        at += dice.uniform(*gap)
    return faults


def _shuffled(dice: random.Random, kinds: tuple[FaultKind, ...] | list[FaultKind]) -> list[FaultKind]:
    return dice.sample(kinds, len(kinds))


def _uuid(dice: random.Random) -> UUID:
    return UUID(int=dice.getrandbits(128), version=4)
