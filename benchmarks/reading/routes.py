"""What is asked for, and by whom."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid4

from benchmarks.generator import MARK, Generator, Request
from benchmarks.reading.practice import DAYS
from rdchat.domain.person import Role

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from benchmarks.messages.stage import Tokens
    from benchmarks.reading.practice import Practice, Talk

_PAGE: Final = 50
_API: Final = "/api/v1"


@dataclass(frozen=True, slots=True)
class Question:
    """Something that is read or written by many people, as requests; `times` the peer is the target."""

    name: str
    words: str
    requests: Callable[[Practice, Tokens], list[Request]]
    rounds: bool = False

    def generator(self, base: str, practice: Practice, tokens: Tokens) -> Generator:
        """Return what asks a server at an address; a round has the number of the last one and one more."""
        requests = self.requests(practice, tokens)
        return Generator(base, requests, rounds=self.rounds, first=len(requests))


def _both(talks: Iterable[Talk], tokens: Tokens) -> Iterator[tuple[Talk, str]]:
    for talk in talks:
        yield talk, tokens.of(talk.client_id, Role.CLIENT)
        yield talk, tokens.of(talk.psychologist_id, Role.PSYCHOLOGIST)


def _history(practice: Practice, tokens: Tokens) -> list[Request]:
    return [
        Request("GET", f"{_API}/chat/history?sessionId={talk.session_id}&limit={_PAGE}", token)
        for talk, token in _both(practice.long, tokens)
    ]


def _sessions(practice: Practice, tokens: Tokens) -> list[Request]:
    return _by_clients(practice, tokens, f"/chat/sessions?limit={_PAGE}")


def _unread(practice: Practice, tokens: Tokens) -> list[Request]:
    return _by_clients(practice, tokens, "/chat/unread")


def _slots(practice: Practice, tokens: Tokens) -> list[Request]:
    last = practice.first_day + timedelta(days=DAYS - 1)
    return _by_clients(practice, tokens, f"/slots?from={practice.first_day}&to={last}&duration=60&step=30")


def _by_clients(practice: Practice, tokens: Tokens, path: str) -> list[Request]:
    return [Request("GET", _API + path, tokens.of(one.client_id, Role.CLIENT)) for one in practice.long]


def _receipts(practice: Practice, tokens: Tokens) -> list[Request]:
    return [
        Request("PUT", f"{_API}/chat/sessions/{talk.session_id}/read", token, f'{{"upToSeq": {MARK}}}')
        for talk, token in _both(practice.unread, tokens)
    ]


QUESTIONS: Final = (
    Question("history", "the newest 50 messages of 3,000", _history),
    Question("sessions", "the 40 sessions of a client", _sessions),
    Question("unread", "unread counts of a client", _unread),
    Question("slots", "free times of a month, of ten psychologists", _slots),
    Question("receipt", "a read receipt", _receipts, rounds=True),
)


def first_words(practice: Practice, tokens: Tokens) -> list[Request]:
    """Return what says something in each session that is going on, as people do before they read."""
    return [
        Request(
            "POST",
            f"{_API}/chat/messages",
            tokens.of(talk.client_id, Role.CLIENT),
            json.dumps({"sessionId": str(talk.session_id), "message": "Halo", "clientMessageId": MARK}),
        )
        for talk in (*practice.long, *practice.unread)
    ]


def bookings(practice: Practice, psychologists: list[UUID], tokens: Tokens, count: int) -> list[Request]:
    """Return so many bookings, each by a new client of a time at which there is room for it."""
    starts = [(practice.first_day + timedelta(days=day), hour) for day in range(DAYS) for hour in range(24)]
    requests = []
    for number in range(count):
        day, hour = starts[number // len(psychologists) % len(starts)]
        body = {
            "method": "chat",
            "date": str(day),
            "startTime": f"{hour:02d}:00",
            "endTime": f"{hour:02d}:50",
            "timezone": "Asia/Jakarta",
            "psychologistId": str(psychologists[number % len(psychologists)]),
        }
        requests.append(
            Request("POST", f"{_API}/counselings/book", tokens.of(uuid4(), Role.CLIENT), json.dumps(body))
        )
    return requests
