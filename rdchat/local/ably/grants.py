"""Keys, and what a verified credential allows."""

from __future__ import annotations

from dataclasses import dataclass

from .capabilities import FULL_CAPABILITY, Capability
from .errors import AblyError, ErrorCode

ANY_CLIENT = "*"


@dataclass(frozen=True, slots=True)
class Grant:
    """What a verified credential allows. Instants are seconds since the epoch; a key never expires.

    `client_id` is None for an anonymous credential and "*" for one that may act for any client.
    """

    key_name: str
    capability: Capability
    client_id: str | None
    issued: float = 0.0
    expires: float | None = None
    revocation_key: str | None = None

    @property
    def is_key(self) -> bool:
        """Whether the credential is the key itself."""
        return self.expires is None

    def stands_for(self, key: Key) -> bool:
        """Whether the credential allows everything that the key does."""
        return (
            self.key_name == key.name
            and self.capability == key.capability
            and self.client_id in (None, ANY_CLIENT)
        )

    def speak_for(self, client_id: str | None) -> str | None:
        """Return the clientId to act under when `client_id` is asked for (None: no wish).

        Raise AblyError 40012 when the credential does not allow it.
        """
        own = None if self.client_id == ANY_CLIENT else self.client_id
        if client_id is None:
            return own
        if client_id == ANY_CLIENT:
            raise AblyError(ErrorCode.INVALID_CLIENT_ID, "the wildcard is not a clientId to act under")
        if self.client_id not in (ANY_CLIENT, client_id):
            raise AblyError(
                ErrorCode.INVALID_CLIENT_ID, f"clientId {client_id} does not match the credentials"
            )
        return client_id


@dataclass(frozen=True, slots=True)
class Key:
    """One API key of an app; `name` is `<app>.<id>`.

    `revocable`: whether its tokens can be revoked, and then live an hour at most; None: those can that say so
    by a revocation key, or live as long as others.
    """

    name: str
    secret: str
    capability: Capability = FULL_CAPABILITY
    revocable: bool | None = None

    @property
    def app_id(self) -> str:
        """The app that it belongs to."""
        return app_of(self.name)


def app_of(key_name: str) -> str:
    """Return the app's id in the name of a key."""
    return key_name.partition(".")[0]
