"""A request as routes see it, whichever way it came in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol
from uuid import UUID

from aiohttp import web
from aiohttp.helpers import parse_content_type

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiohttp import StreamReader
    from multidict import CIMultiDictProxy, MultiMapping
    from yarl import URL


class Connected(Protocol):
    """The connection that a request came on."""

    def address_of(self, headers: Any) -> str | None:  # noqa: ANN401 - aiohttp's
        """Return what a request without a valid token counts as."""
        ...


class Incoming:
    """What came. `web` is aiohttp's request, None where none was made, as all of it is there.

    `path_texts` are the parts of the path that the route names; `caller_id` says who calls, once it is known.
    """

    __slots__ = (
        "_connection",
        "_url",
        "caller_id",
        "content",
        "headers",
        "method",
        "path_texts",
        "request_id",
        "web",
    )

    def __init__(  # noqa: PLR0917 - by position: it is made for every request
        self,
        method: str,
        url: URL,
        headers: CIMultiDictProxy[str],
        content: StreamReader,
        path_texts: Mapping[str, str],
        connection: Connected | None,
        request_id: str,
        request: web.Request | None = None,
    ) -> None:
        self.method = method
        self.headers = headers
        self.content = content
        self.path_texts = path_texts
        self.request_id = request_id
        self.caller_id: UUID | None = None
        self.web = request
        self._url = url
        self._connection = connection

    @classmethod
    def of(cls, request: web.Request, request_id: str) -> Incoming:
        """Look at one of aiohttp's requests."""
        connection = request.protocol if hasattr(request.protocol, "address_of") else None
        texts = request.match_info
        return cls(
            request.method,
            request.rel_url,
            request.headers,
            request.content,
            texts,
            connection,
            request_id,
            request,
        )

    @property
    def has_query(self) -> bool:
        """Whether there is a query."""
        return bool(self._url.raw_query_string)

    @property
    def query(self) -> MultiMapping[str]:
        """The query, decoded."""
        return self._url.query

    @property
    def path(self) -> str:
        """The path, decoded."""
        return self._url.path

    @property
    def address(self) -> str | None:
        """What it counts as without a valid token; None if it is not counted."""
        return self._connection.address_of(self.headers) if self._connection is not None else None

    @property
    def media_type(self) -> tuple[str, str]:
        """What the body is said to be: the media type, and its character set."""
        kind, parameters = parse_content_type(self.headers.get("Content-Type", ""))
        return kind, parameters.get("charset", "utf-8").lower()


#: Who calls, once that is known.
CALLER_ID: Final = web.RequestKey("caller_id", UUID)
