"""The HTTP parser of a connection, which keeps from it what cannot be served anyway."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from aiohttp import HttpVersion11
from aiohttp.http_exceptions import BadHttpMessage, HttpProcessingError

from handlers.http.admission import Precedence
from handlers.http.cors import origin_in
from handlers.http.envelope import CHANGING
from handlers.http.incoming import Connected

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping

    from aiohttp import StreamReader

    from handlers.http.admission import Admission
    from handlers.http.connections import Connections
    from handlers.http.envelope import PlainRoute
    from handlers.http.newcomers import Newcomers
    from handlers.http.route_table import RouteTable
    from handlers.http.strangers import Strangers

#: So much of a request's head is looked through for its origin, should it turn out to be unreadable.
_HEAD_BYTES: Final = 16 * 1024
#: The longest head. aiohttp bounds each line and their number, which is a MiB together.
_LONGEST_HEAD: Final = 32 * 1024


@dataclass(frozen=True, slots=True)
class Guards:
    """What keeps a crowd from the service: places, connections, and what comes without a token."""

    admission: Admission
    connections: Connections
    strangers: Strangers
    newcomers: Newcomers


class Gated(Connected, Protocol):
    """The connection that a gate belongs to. `origin` is that of a request that could not be parsed.

    `expected`: whether the admission expects a request of it.
    """

    origin: str | None
    expected: bool

    @property
    def waits(self) -> bool:
        """Whether everything that came on it is answered."""
        ...

    def expect_head(self, *, begins: bool) -> None:
        """Wait for the rest of a head, not for ever; `begins`: this was its first piece."""
        ...

    def refuse_stranger(self, origin: str | None) -> None:
        """Refuse one who sends too much without a token."""
        ...

    def write_raw(self, answer: bytes) -> None:
        """Send bytes as they are."""
        ...

    def turn_away(self, answer: bytes) -> None:
        """Send the answer to a request whose body is on its way, and close the connection behind that."""
        ...

    def serve_plainly(self, answering: Coroutine[Any, Any, bytes]) -> None:
        """Serve a request beside aiohttp."""
        ...


class Gate:
    """Looks at what the parser has found.

    Turning a request away like any other, with a task, a request and an answer, costs a third of serving it:
    at twice the capacity the service would be busy with that. So beyond the limit, requests that would change
    something are answered here, as soon as they are there as a whole and all before them is answered; and so
    are requests without a token, of an address that sends too many. Where requests begin and end is the
    parser's affair alone.

    What is plain and there as a whole is served from here as well, by `routes`; aiohttp gets the rest.
    """

    def __init__(
        self,
        parser: Any,  # noqa: ANN401 - aiohttp's
        protocol: Gated,
        guards: Guards,
        routes: RouteTable[PlainRoute],
    ) -> None:
        self._parser = parser
        self._message_consumed = parser.message_consumed
        self._protocol = protocol
        self._routes = routes
        self._admission = guards.admission
        self._strangers = guards.strangers
        self._payload: StreamReader | None = None
        self._head = b""
        self._head_size = 0
        #: What could not be parsed behind what could.
        self._fault: HttpProcessingError | None = None

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the parser has
        return getattr(self._parser, name)

    def feed_data(self, data: bytes) -> tuple[Any, bool, bytes]:
        """Parse what has come; leave out what is answered here. Raise HttpProcessingError."""
        if self._fault is not None:
            raise self._fault
        in_body = self._payload is not None and not self._payload.is_eof()
        try:
            messages, upgraded, tail = self._parser.feed_data(data)
            if messages:
                self._payload, self._head, self._head_size = messages[-1][1], b"", 0
            elif not in_body and data:
                self._a_piece_of_a_head(data)
        except HttpProcessingError:
            self._protocol.origin = origin_in(self._head + data)
            raise
        passed: list[Any] = []
        while messages:
            taken = self._take(messages, passed)
            # Behind an upgrade comes another protocol, or what aiohttp looks at when it has declined.
            if upgraded or not taken or len(messages) == 1:
                break
            # The parser keeps back what comes after so many requests. aiohttp asks for that when it has
            # served some; of what was served from here it knows nothing.
            messages, upgraded, tail = self._parse_more(data, bool(passed))
        return passed, upgraded, tail

    def _take(self, messages: Any, passed: list[Any]) -> int:  # noqa: ANN401 - aiohttp's
        """Answer and serve what can be from here; put the rest behind what has `passed`. Return how many."""
        before = len(passed)
        for one in messages:
            if self._passes(*one, is_next=not passed and self._protocol.waits):
                passed.append(one)
        return len(messages) - (len(passed) - before)

    def _parse_more(self, data: bytes, has_passed: bool) -> tuple[Any, bool, bytes]:  # noqa: FBT001 - of two places
        try:
            messages, upgraded, tail = self._parser.feed_data(b"")
        except HttpProcessingError as error:
            self._protocol.origin = origin_in(data)
            if not has_passed:
                raise
            # Those before it are answered first.
            self._fault = error
            return (), False, b""
        if messages:
            self._payload = messages[-1][1]
        return messages, upgraded, tail

    def _a_piece_of_a_head(self, data: bytes) -> None:
        self._protocol.expect_head(begins=not self._head_size)
        self._head_size += len(data)
        self._head = (self._head + data)[:_HEAD_BYTES]
        if self._head_size > _LONGEST_HEAD:
            raise BadHttpMessage("the head is too long")

    def _passes(self, message: Any, payload: Any, *, is_next: bool) -> bool:  # noqa: ANN401 - aiohttp's
        """Tell whether a request is to be served; `is_next`: all before it on the connection is answered."""
        protocol = self._protocol
        headers = message.headers
        if "Authorization" not in headers and not self._strangers.admits(protocol.address_of(headers)):
            protocol.refuse_stranger(headers.get("Origin"))
            return False
        if not is_next:
            # It is not its turn, neither to ask for a place nor to be answered.
            return True
        if not payload.is_eof():
            # It holds no place yet, and asks for one when its body is there.
            return not self._refuses(message, payload)
        if message.should_close:
            return True
        found = self._routes.find(message.method, message.path)
        if message.method in CHANGING:
            # What is not found here is looked at again where it asks for its place.
            if not self._admission.expect_one(found[0].precedence if found is not None else Precedence.CHAT):
                self._message_consumed()
                protocol.write_raw(self._admission.refusal(headers.get("Origin")))
                return False
            protocol.expected = True
        return found is None or not self._serves(message, payload, *found)

    def _refuses(self, message: Any, payload: Any) -> bool:  # noqa: ANN401 - aiohttp's
        """Refuse a request by its head, if its body is not worth waiting for, and close the connection.

        There may be many of them, which do nothing but come again: aiohttp's way would be the dear part.
        """
        found = self._routes.find(message.method, message.path)
        answer = found[0].refusal(message, payload, self._protocol) if found is not None else None
        if answer is None:
            return False
        self._protocol.turn_away(answer)
        return True

    def _serves(self, message: Any, payload: Any, route: PlainRoute, texts: Mapping[str, str]) -> bool:  # noqa: ANN401 - aiohttp's
        """Begin to serve a request whose turn it is and that is there as a whole, if it is plain."""
        if (
            message.upgrade
            or message.chunked
            or message.version != HttpVersion11
            or "Expect" in message.headers
        ):
            return False
        self._message_consumed()
        protocol = self._protocol
        protocol.serve_plainly(route.answer(message, payload, texts, protocol))
        return True
