"""Members that are present from the start on channels of an app for tests."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from .errors import AblyError, ErrorCode
from .protocol import Message, PresenceAction

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .channels import Channels

_FIELDS = ("clientId", "data", "encoding")


@dataclass(frozen=True, slots=True)
class Fixture:
    """One channel and who is to be present there."""

    channel: str
    members: list[Message]

    @classmethod
    def read(cls, specs: Iterable[Mapping[str, object]]) -> list[Fixture]:
        """Read `[{name, presence: [{clientId, data?, encoding?}]}]`. Raise AblyError 40001 for others."""
        fixtures = []
        for spec in specs:
            name, members = spec.get("name"), spec.get("presence", [])
            if not isinstance(name, str) or not isinstance(members, list):
                raise AblyError(ErrorCode.INVALID_BODY, "a channel must have a name and a list of members")
            fixtures.append(cls(name, [_member(member) for member in members]))
        return fixtures


def enter(fixtures: Iterable[Fixture], channels: Channels) -> None:
    """Let all the members enter, on one connection that never ends."""
    connection_id = secrets.token_urlsafe(8)
    channels.lasting_connections.add(connection_id)
    for serial, fixture in enumerate(fixtures):
        if fixture.members:
            channel = channels.get(fixture.channel)
            channel.update_presence(
                fixture.members, id_base=f"{connection_id}:{serial}", connection_id=connection_id
            )


def _member(spec: object) -> Message:
    fields = (
        {name: spec[name] for name in _FIELDS if spec.get(name) is not None} if isinstance(spec, dict) else {}
    )
    if not fields.get("clientId") or not all(isinstance(value, str) for value in fields.values()):
        raise AblyError(ErrorCode.INVALID_BODY, "a member must have a clientId; data and encoding are text")
    return cast("Message", {**fields, "action": int(PresenceAction.ENTER)})
