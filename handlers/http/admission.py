"""Places: how many requests are worked on at a time, of all people and of each, and what the others are told.

A place is taken when nothing has to be waited for any more that its sender decides: once the token is
verified and the body is there. It is given back before the answer is sent, which may take its reader's time.
So no one holds a place by being slow. What is slow, an unfinished body, has places of its own by person.
"""

from __future__ import annotations

from contextlib import contextmanager
from enum import Enum
from math import inf
from typing import TYPE_CHECKING, Final, cast

from handlers.http.json_answers import failure, new_request_id
from handlers.http.written import head_lines
from rdchat.common.errors import ErrorCode, RdchatError, UnavailableError
from rdchat.common.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from uuid import UUID

    from handlers.http.edge_headers import EdgeHeaders

#: Where the request's id goes in an answer that is made beforehand: as long as one.
_PLACE: Final = "@" * 32
#: The part of all places that is for what no chat waits for: the last ones are for people who are in one.
_REST_SHARE: Final = 0.75
#: Origins whose refusals are kept. Few are allowed, but for the ports of one's own machine.
_KEPT_REFUSALS: Final = 64
#: Requests of one person at a time. A browser has six connections to a server, a page behind HTTP/2 a few
#: dozen requests under way; and of all places this is a sixteenth.
PER_PERSON: Final = 64
#: Bodies of one person that are not there yet. Nearly all are there with their heads.
_UNFINISHED: Final = 16
#: Files of one person at a time, which are held in memory as they come.
_UPLOADS: Final = 2
_UPLOADS_WAITING: Final = 22
_PATIENCE_SECONDS: Final = 60.0
#: Requests of one person at a time that cost much; as many wait as one may have under way.
_DEAR: Final = 2
_DEAR_IN_ALL: Final = 64
_DEAR_PATIENCE_SECONDS: Final = 20.0


class Precedence(Enum):
    """What goes first when there are more requests than places.

    `REST` are those that no chat waits for, as bookings; `CHAT` those of people who are in a chat. `ALWAYS`
    is for what may never be refused to anyone: it has a place even when there is none.
    """

    REST = 0
    CHAT = 1
    ALWAYS = 2


class PlacesByPerson:
    """Counts what each person has under way, up to `limit`."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        # By the number of their ids, which is hashed faster.
        self._taken: dict[int, int] = {}

    @property
    def people(self) -> int:
        """How many people have something under way."""
        return len(self._taken)

    def check(self, person_id: UUID) -> None:
        """Raise RdchatError (RATE_LIMITED) for one who has enough of them."""
        if self._taken.get(person_id.int, 0) >= self._limit:
            raise RdchatError(ErrorCode.RATE_LIMITED, retry_after=1)

    def enter(self, person_id: UUID) -> None:
        """Take a place. Raise RdchatError (RATE_LIMITED) for one who has enough of them."""
        self.check(person_id)
        key = person_id.int
        self._taken[key] = self._taken.get(key, 0) + 1

    def leave(self, person_id: UUID) -> None:
        """Give a place back."""
        key = person_id.int
        taken = self._taken[key] - 1
        if taken:
            self._taken[key] = taken
        else:
            del self._taken[key]

    @contextmanager
    def place(self, person_id: UUID) -> Iterator[None]:
        """Have a place within. Raise RdchatError (RATE_LIMITED)."""
        self.enter(person_id)
        try:
            yield
        finally:
            self.leave(person_id)


class Admission:
    """How many requests that change something are under way, and how many of any kind by person.

    `limit` bounds the former, by their `Precedence`; `on_refusal` is called for each that is turned away.
    `edge` completes the headers of what they are told. `bodies` and `uploads` are what people have begun to
    send: a page sends all the files that were chosen at once, which then wait for each other; so does what is
    `dear`.
    """

    def __init__(self, limit: int, on_refusal: Callable[[], None], edge: EdgeHeaders) -> None:
        self.edge = edge
        self.people = PlacesByPerson(PER_PERSON)
        self.bodies = PlacesByPerson(_UNFINISHED)
        self.uploads = Turns(
            "uploads", at_once=_UPLOADS, waiting=_UPLOADS_WAITING, in_all=limit, patience=_PATIENCE_SECONDS
        )
        self.dear = Turns(
            "requests that cost much",
            at_once=_DEAR,
            waiting=PER_PERSON - _DEAR,
            in_all=_DEAR_IN_ALL,
            patience=_DEAR_PATIENCE_SECONDS,
        )
        self._limits = {
            Precedence.REST: max(1, int(_REST_SHARE * limit)),
            Precedence.CHAT: limit,
            Precedence.ALWAYS: inf,
        }
        self._on_refusal = on_refusal
        self._under_way = 0
        self._expected = 0
        self._refusals: dict[str | None, bytes] = {None: self._make_refusal(None)}

    @property
    def under_way(self) -> int:
        """How many have a place, or will ask for one in a moment."""
        return self._under_way + self._expected

    def expect_one(self, precedence: Precedence) -> bool:
        """Note that one is there as a whole and is about to ask for a place, unless there are enough."""
        if self._under_way + self._expected >= self._limits[precedence]:
            return False
        self._expected += 1
        return True

    def expected_came(self) -> None:
        """Note that one that was expected asks now, or never will."""
        self._expected -= 1

    def enter(self, person_id: UUID, precedence: Precedence | None) -> None:
        """Take a place; `precedence` is None for what changes nothing.

        Raise RdchatError: UNAVAILABLE when all are taken, RATE_LIMITED for one's own.
        """
        if precedence is not None and self._under_way >= self._limits[precedence]:
            self._on_refusal()
            raise UnavailableError("engine")
        self.people.enter(person_id)
        self._under_way += precedence is not None

    def leave(self, person_id: UUID, precedence: Precedence | None) -> None:
        """Give a place back."""
        self.people.leave(person_id)
        self._under_way -= precedence is not None

    def refusal(self, origin: str | None) -> bytes:
        """Make the whole answer to a request that is turned away, from a page of `origin` or from none."""
        self._on_refusal()
        if origin is not None and not self.edge.cross_origin.allows(origin):
            origin = None
        refusal = self._refusals.get(origin)
        if refusal is None:
            refusal = self._make_refusal(origin)
            if len(self._refusals) < _KEPT_REFUSALS:
                self._refusals[origin] = refusal
        return refusal.replace(_PLACE.encode(), new_request_id().encode())

    def _make_refusal(self, origin: str | None) -> bytes:
        return whole_answer(UnavailableError("engine"), origin, self.edge, _PLACE)


def whole_answer(error: RdchatError, origin: str | None, edge: EdgeHeaders, request_id: str) -> bytes:
    """Return an answer with an error, head and body, for where nothing else makes one."""
    answer = failure(error, request_id, edge.beside_failures).as_response()
    edge.complete(answer.headers, origin)
    body = cast("bytes", answer.body)
    head = {**answer.headers, "Content-Length": str(len(body))}
    return f"{head_lines(answer.status, head)}\r\n".encode() + body
