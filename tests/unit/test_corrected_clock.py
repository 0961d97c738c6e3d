"""A clock that follows another: right at the first measurement, and never going back."""

from __future__ import annotations

from datetime import timedelta

import pytest

from rdchat.common.corrected_clock import CorrectedClock
from tests.support.memory_storage import SetClock


class Machine:
    """A machine whose wall clock is set by hand, and whose seconds pass as they are told to."""

    def __init__(self, *, ahead: float) -> None:
        self.seconds = 1000.0
        self.wall = SetClock()
        self.true_ms = self.wall.ms()
        self.wall.forward(seconds=ahead)
        self.clock = CorrectedClock(self.wall, lambda: self.seconds)

    def measure(self, *, reference_moved: float = 0.0) -> None:
        self.true_ms += reference_moved * 1000
        self.clock.correct(self.true_ms - self.clock.raw_ms())

    def wait(self, seconds: float) -> None:
        self.seconds += seconds
        self.true_ms += seconds * 1000
        self.wall.forward(seconds=seconds)

    @property
    def ahead(self) -> float:
        return (self.clock.ms() - self.true_ms) / 1000


@pytest.mark.parametrize("ahead", [-3.0, 0.0, 3.0])
def test_the_first_measurement_sets_it(ahead: float) -> None:
    machine = Machine(ahead=ahead)
    assert machine.ahead == pytest.approx(ahead)
    machine.measure()
    assert machine.ahead == pytest.approx(0)
    assert machine.clock.machine_ahead_seconds == pytest.approx(ahead)
    machine.wait(3600)
    assert machine.ahead == pytest.approx(0)


def test_setting_the_wall_clock_changes_nothing() -> None:
    machine = Machine(ahead=0)
    machine.measure()
    before = machine.clock.now()
    machine.wall.forward(hours=1)
    assert machine.clock.now() == before
    machine.wall.forward(hours=-2)
    machine.wait(1)
    assert machine.clock.now() - before == timedelta(seconds=1)
    assert machine.clock.machine_ahead_seconds == pytest.approx(-3600)


def test_it_never_goes_back_and_is_right_in_the_end() -> None:
    machine = Machine(ahead=0)
    machine.measure()
    machine.measure(reference_moved=-1)
    last = machine.clock.ms()
    for _ in range(12):
        machine.wait(1)
        # A measurement on the way changes nothing of the way.
        machine.measure()
        assert machine.clock.ms() > last
        last = machine.clock.ms()
    assert machine.ahead == pytest.approx(0)


def test_what_it_is_behind_is_made_up_for_at_once() -> None:
    machine = Machine(ahead=0)
    machine.measure()
    machine.measure(reference_moved=2)
    assert machine.ahead == pytest.approx(0)


@pytest.mark.parametrize(
    ("ahead", "problem"),
    [
        (0.4, None),
        (-0.4, None),
        (3, "this machine's clock is 3.0 s ahead of PostgreSQL's"),
        (-3, "this machine's clock is 3.0 s behind PostgreSQL's"),
    ],
)
def test_a_clock_that_is_far_off_is_told_of(ahead: float, problem: str | None) -> None:
    machine = Machine(ahead=ahead)
    machine.measure()
    assert machine.clock.problem == problem
