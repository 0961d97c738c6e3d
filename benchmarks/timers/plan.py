"""How much is measured, and for how long at most."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """Sizes (jobs) and bounds (seconds)."""

    schedule: int = 20_000
    schedule_seconds: float = 6.0
    bookings: int = 1_000
    bookings_seconds: float = 2.0
    cancel: int = 5_000
    cancel_seconds: float = 15.0
    lateness: int = 8_000
    rate: int = 1_000
    #: For rdchat alone: none of the peers runs so many.
    lateness_fast: int = 20_000
    fast_rate: int = 5_000
    lateness_tail_seconds: float = 10.0
    drain: int = 5_000
    drain_seconds: float = 15.0
    rounds: int = 3
    #: No further round of the same once so much time went into it.
    rounds_seconds: float = 9.0
    recovery_seconds: float = 75.0


FULL = Plan()
QUICK = Plan(
    schedule=1_000,
    bookings=50,
    cancel=200,
    lateness=500,
    rate=500,
    lateness_fast=2_000,
    drain=200,
    rounds=1,
    recovery_seconds=12.0,
)

#: Untimed jobs at first: connections, scripts and compiled code are there when the clock starts.
WARM_UP = 1_000
#: Jobs a call, where a library takes several. Four is one booking.
BULK, BOOKING = 1_000, 4
#: A due instant about an hour ahead.
AHEAD_MS = 3_600_000
#: Between the last job scheduled and the first one due.
SPARE_SECONDS = 3.0
