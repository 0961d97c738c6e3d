"""Pages of a channel's history, with the links that lead to the next ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from .errors import AblyError, ErrorCode
from .numerals import whole_number
from .recorder import Place

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .backlog import Backlog
    from .protocol import Message
    from .publications import Publication

_DEFAULT_LIMIT = 100
_HIGHEST_LIMIT = 1_000


@dataclass(frozen=True, slots=True)
class PageQuery:
    """What a history request asks for. Instants are milliseconds, both ends included.

    `until` is the place before which to end; `after` is the last place of the page before.
    """

    start: int | None
    end: int | None
    backwards: bool
    limit: int
    until: Place | None
    after: Place | None

    @classmethod
    def read(cls, query: Mapping[str, str], place_after: Callable[[str], Place | None]) -> PageQuery:
        """Read `start`, `end`, `direction`, `limit`, `from_serial` (a channelSerial) and our own `cursor`.

        Raise AblyError 40003 for values that are none, 40024 for a serial that another endpoint gave.
        """
        direction = query.get("direction") or "backwards"
        limit = _number(query, "limit", _DEFAULT_LIMIT)
        start, end = _number(query, "start", None), _number(query, "end", None)
        if direction not in ("backwards", "forwards") or limit is None or not 0 < limit <= _HIGHEST_LIMIT:
            raise AblyError(ErrorCode.INVALID_PARAMETER, "invalid direction or limit")
        if start is not None and end is not None and start > end:
            raise AblyError(ErrorCode.INVALID_PARAMETER, "start is after end")
        until = None
        if query.get("from_serial"):
            until = place_after(query["from_serial"])
            if until is None:
                raise AblyError(
                    ErrorCode.OTHER_SITE, "unable to get channel history: the serial is not of this site"
                )
        return cls(start, end, direction == "backwards", limit, until, _cursor(query))

    def page(self, backlog: Backlog) -> tuple[list[Message], Place | None]:
        """Return the messages of this page, and the place of its last one when there are more."""
        found: list[tuple[Place, Message]] = []
        for publication in reversed(backlog) if self.backwards else backlog:
            if not self._covers(publication):
                continue
            numbered = list(enumerate(publication.messages))
            for index, message in reversed(numbered) if self.backwards else numbered:
                place = Place(publication.position, index)
                following = self.after is None or (
                    place < self.after if self.backwards else place > self.after
                )
                if following and (self.until is None or place < self.until):
                    found.append((place, message))
            if len(found) > self.limit:
                return [message for _, message in found[: self.limit]], found[self.limit - 1][0]
        return [message for _, message in found], None

    def _covers(self, publication: Publication) -> bool:
        if self.start is not None and publication.timestamp < self.start:
            return False
        if self.end is not None and publication.timestamp > self.end:
            return False
        return self.until is None or publication.position <= self.until.position


def page_of_members(members: list[Message], query: Mapping[str, str]) -> tuple[list[Message], str]:
    """Return a page of the members that are asked for, and its `Link` header.

    `query` may have `limit`, `clientId`, `connectionId` and our own `cursor`. Raise AblyError 40003.
    """
    page = PageQuery.read(query, lambda _: None)
    wanted = {name: query[name] for name in ("clientId", "connectionId") if query.get(name)}
    found = [m for m in members if all(m.get(name) == value for name, value in wanted.items())]
    first = page.after[0] if page.after is not None else 0
    following = Place(first + page.limit, 0) if first + page.limit < len(found) else None
    return found[first : first + page.limit], link_header("presence", query, following)


def link_header(resource: str, query: Mapping[str, str], following: Place | None) -> str:
    """Write the `Link` header of a page: relations first, current and, when there is more, next.

    Addresses are relative to the request's (`./messages?...`), the only form that the JavaScript SDK reads.
    """
    kept = {name: value for name, value in query.items() if name in _LINKED}
    first = {name: value for name, value in kept.items() if name != "cursor"}
    relations = {"first": first, "current": kept}
    if following is not None:
        relations["next"] = {**first, "cursor": f"{following[0]}-{following[1]}"}
    return ", ".join(
        f'<./{resource}?{urlencode(params or {"limit": _DEFAULT_LIMIT})}>; rel="{relation}"'
        for relation, params in relations.items()
    )


_LINKED = ("start", "end", "direction", "limit", "from_serial", "cursor", "clientId", "connectionId")


def _cursor(query: Mapping[str, str]) -> Place | None:
    text = query.get("cursor")
    if not text:
        return None
    position, index = map(whole_number, (text.partition("-")[::2]))
    if position is None or index is None:
        raise AblyError(ErrorCode.INVALID_PARAMETER, "invalid cursor")
    return Place(position, index)


def _number(query: Mapping[str, str], name: str, default: int | None) -> int | None:
    text = query.get(name)
    if not text:
        return default
    try:
        return int(float(text))
    except (ValueError, OverflowError) as error:
        raise AblyError(ErrorCode.INVALID_PARAMETER, f"{name} must be a number") from error
