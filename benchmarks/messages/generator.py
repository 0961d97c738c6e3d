"""The load: people who send messages, each another one every time."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from benchmarks.generator import MARK, Load, Request
from benchmarks.generator import Generator as AnyGenerator

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Generator", "Load", "Speaker"]

_TEXT: Final = (
    "Akhir-akhir ini saya susah tidur, dan rasanya semua tugas datang bersamaan. Bagaimana sebaiknya? 🙏"
)


@dataclass(frozen=True, slots=True)
class Speaker:
    """A person in a session, with a token. Those who are `watched` have a listener at the other end."""

    session_id: str
    token: str
    watched: bool = False

    def request(self) -> Request:
        """Return what sends a message: its number is the clientMessageId."""
        body = {
            "sessionId": self.session_id,
            "message": _TEXT,
            "messageType": "text",
            "clientMessageId": MARK,
        }
        text = json.dumps(body, ensure_ascii=False)
        return Request("POST", "/api/v1/chat/messages", self.token, text, self.watched)


class Generator(AnyGenerator):
    """Sends messages. Every run of the program sends such as were never sent before."""

    def __init__(self, base: str, speakers: Iterable[Speaker]) -> None:
        requests = [one.request() for one in speakers]
        super().__init__(base, requests, accepted=201, first=time.time_ns() // 1_000_000 * 1000)
