"""A participant's phone: the genuine Ably SDK on all channels that the token of a session allows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ably import AblyRealtime
from ably.types.channeloptions import ChannelOptions
from ably.types.tokendetails import TokenDetails

from tests.support.day.pace import PACE
from tests.support.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.service import Person


@dataclass(frozen=True, slots=True)
class Heard:
    """An event as it came in; `channel`: chat, typing or notifications."""

    channel: str
    name: str
    data: dict[str, Any]
    client_id: str | None


class Phone:
    """Listens for one person, to one session or none, from what was said before it was switched on."""

    def __init__(self, person: Person, session_id: str | None) -> None:
        self.person = person
        self.session_id = session_id
        self.heard: list[Heard] = []
        #: How many it was given: one more when the first is revoked.
        self.tokens = 0
        self._ably: Any = None

    async def switch_on(self) -> None:
        access = await self._access()
        options = access["clientOptions"]
        self._ably = AblyRealtime(
            auth_callback=self._token, endpoint=f"{options['endpoint']}:{options['port']}/", tls=False
        )
        names = {"notifications": access["notificationChannelName"]}
        if self.session_id is not None:
            names["chat"] = access["channelName"]
        for kind, name in names.items():
            # What was published before this phone was there comes first; nothing comes twice.
            channel = self._ably.channels.get(name, ChannelOptions(params={"rewind": "100"}))
            await channel.subscribe(self._listener(kind))
        if access.get("typingChannelName") in access["capability"]:
            # No one types any more in a session that is over.
            await self._ably.channels.get(access["typingChannelName"]).subscribe(self._listener("typing"))

    async def switch_off(self) -> None:
        if self._ably is not None:
            await self._ably.close()

    def of(self, channel: str, name: str) -> list[dict[str, Any]]:
        return [one.data for one in self.heard if (one.channel, one.name) == (channel, name)]

    @property
    def messages(self) -> list[dict[str, Any]]:
        return self.of("chat", "message")

    @property
    def statuses(self) -> list[str]:
        return [one["status"] for one in self.of("chat", "session-status")]

    async def hears(self, status: str, seconds: float = 30.0 * PACE) -> None:
        """Wait for a `session-status`."""
        await until(lambda: status in self.statuses, seconds)

    async def hears_message(self, seq: int, seconds: float = 10.0 * PACE) -> None:
        await until(lambda: any(one["seq"] == seq for one in self.messages), seconds)

    async def hears_typing(self, person: Person, seconds: float = 10.0 * PACE) -> None:
        # The sender is who Ably says it is.
        await until(
            lambda: any(one.channel == "typing" and one.client_id == str(person.id) for one in self.heard),
            seconds,
        )

    async def hears_reading(self, person: Person, seq: int, seconds: float = 10.0 * PACE) -> None:
        step = str(person.id), seq
        await until(
            lambda: step in [(one["userId"], one["upToSeq"]) for one in self.of("chat", "message-read")],
            seconds,
        )

    async def is_told(self, kind: str, session_id: str, seconds: float = 10.0 * PACE) -> None:
        """Wait for a notification."""
        told = kind, session_id
        await until(
            lambda: (
                told
                in [
                    (one["type"], one["data"]["sessionId"])
                    for one in self.of("notifications", "notification")
                ]
            ),
            seconds,
        )

    def _listener(self, kind: str) -> Callable[[Any], None]:
        def hear(message: Any) -> None:
            self.heard.append(Heard(kind, message.name, message.data, message.client_id))

        return hear

    async def _token(self, _params: Any) -> TokenDetails:
        access = await self._access()
        self.tokens += 1
        # Not the token alone: this SDK then knows no clientId of it, and refuses to renew by it.
        return TokenDetails(access["token"], client_id=access["clientId"])

    async def _access(self) -> dict[str, Any]:
        named = {"sessionId": self.session_id} if self.session_id is not None else {}
        reply = await self.person.get("/chat/ably-token", **named)
        access: dict[str, Any] = reply.data
        return access
