"""How many connections there may be, and which of them make room for others."""

from __future__ import annotations

import resource
from dataclasses import dataclass

import pytest

from handlers.http.connections import Connections
from handlers.server import open_files


@dataclass(eq=False)
class One:
    address: str | None = None
    is_idle: bool = True
    idle_until: float = 0.0
    closed: bool = False

    def give_up(self) -> None:
        self.closed = True


def crowd(limit: int, **options: int) -> tuple[Connections, list[int]]:
    refused: list[int] = []
    return Connections(limit, lambda: refused.append(1), **options), refused


def test_idle_ones_make_room_those_first_that_would_be_closed_first() -> None:
    connections, refused = crowd(3)
    ones = [One(idle_until=until) for until in (30.0, 10.0, 20.0)]
    assert all(connections.enter(one) for one in ones)
    assert connections.enter(One(is_idle=False))
    assert [one.closed for one in ones] == [False, True, False]
    assert len(connections) == 3
    assert len(refused) == 1


def test_busy_ones_are_not_closed_for_others() -> None:
    connections, refused = crowd(2)
    ones = [One(is_idle=False) for _ in range(2)]
    assert all(connections.enter(one) for one in ones)
    last = One()
    assert not connections.enter(last)
    assert len(refused) == 1
    connections.leave(last)
    assert len(connections) == 2
    connections.leave(ones[0])
    assert connections.enter(last)


def test_one_address_does_not_take_the_places_of_others() -> None:
    connections, refused = crowd(100, per_address=3)
    own = [One("a", is_idle=False) for _ in range(3)]
    other = One("b")
    assert connections.enter(other)
    assert all(connections.enter(one) for one in own)
    assert not connections.enter(One("a"))
    assert not other.closed, "others' idle ones are theirs"
    own[1].is_idle = True
    assert connections.enter(One("a"))
    assert own[1].closed
    assert len(refused) == 2
    assert all(connections.enter(One(None, is_idle=False)) for _ in range(50)), "a proxy's are not counted"
    for one in own:
        connections.leave(one)
    assert connections.enter(One("a"))


def test_a_flood_is_not_looked_through_for_each() -> None:
    connections, _ = crowd(160)
    looked: list[int] = []

    class Watched(One):
        @property
        def is_idle(self) -> bool:
            looked.append(1)
            return True

        @is_idle.setter
        def is_idle(self, value: bool) -> None:
            pass

    for number in range(1_600):
        assert connections.enter(Watched(idle_until=number))
    assert len(connections) <= 160
    assert len(looked) <= 1_600 * 160 / 10


@pytest.mark.parametrize(
    ("soft", "hard", "wanted"), [(256, 4096, 4096), (1024, 1024, 1024), (64, 2**20, 16_896)]
)
def test_more_files_may_be_open_where_the_machine_allows_it(
    soft: int, hard: int, wanted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = [(soft, hard)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, pair: limits.append(pair))
    open_files.raise_limit()
    assert limits[-1] == (wanted, hard)
    assert wanted - 256 <= open_files.connections_allowed() <= wanted - 1


def test_with_few_files_half_of_them_are_left_to_the_stores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (100, 100))
    assert open_files.connections_allowed() == 50
