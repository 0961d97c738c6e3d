"""People who use the service over real HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import aiohttp

    from rdchat.domain.person import Caller


class UnexpectedAnswerError(Exception):
    """An answer came with which the session cannot go on."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, read."""

    status: int
    body: Any

    def __str__(self) -> str:
        """Show status and, for an error, its code: `400 CHAT_NOT_ENABLED`."""
        code = self.body.get("code", "") if isinstance(self.body, dict) else ""
        return f"{self.status} {code}".strip()


class Person:
    """A person, as their token says; an empty token is not sent."""

    def __init__(self, http: aiohttp.ClientSession, caller: Caller, token: str) -> None:
        self.caller = caller
        self._http = http
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    @property
    def id(self) -> str:
        """Their id, as it stands in JSON."""
        return str(self.caller.id)

    @property
    def name(self) -> str:
        """Their full name."""
        return self.caller.full_name

    async def call(self, method: str, path: str, body: Any = None, **query: str) -> Reply:  # noqa: ANN401 - JSON
        """Call a route under /api/v1."""
        async with self._http.request(
            method, f"/api/v1{path}", json=body, params=query, headers=self._headers
        ) as answer:
            is_json = answer.content_type == "application/json"
            return Reply(answer.status, await answer.json() if is_json else await answer.text())

    async def must(self, method: str, path: str, body: Any = None, **query: str) -> Any:  # noqa: ANN401 - JSON
        """Call a route that has to succeed, and return its data. Raise UnexpectedAnswerError."""
        reply = await self.call(method, path, body, **query)
        if not isinstance(reply.body, dict) or not reply.body.get("success"):
            raise UnexpectedAnswerError(f"{method} {path}: expected success, came {reply}: {reply.body}")
        return reply.body["data"]

    async def say(self, session_id: str, text: str, client_message_id: str | None = None) -> Reply:
        """Send a message."""
        body = {"sessionId": session_id, "message": text, "messageType": "text"}
        if client_message_id is not None:
            body["clientMessageId"] = client_message_id
        return await self.call("POST", "/chat/messages", body)

    async def history(self, session_id: str) -> list[dict[str, Any]]:
        """Read the whole conversation, oldest first."""
        page = await self.must("GET", "/chat/history", sessionId=session_id, limit="100")
        messages: list[dict[str, Any]] = page["data"]
        return messages
