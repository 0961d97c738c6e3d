"""Where a request carries its credentials, and to whom they belong."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .errors import AblyError, ErrorCode
from .grants import ANY_CLIENT, Grant, app_of
from .tokens import key_name_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .tokens import Keyring


@dataclass(frozen=True, slots=True)
class Credential:
    """What a request shows: a key (`app.id:secret`) or a token, and the clientId to act under."""

    text: str
    is_key: bool
    client_id: str | None

    @property
    def app_id(self) -> str:
        """The app that it says it is for. Raise AblyError when it does not say."""
        return app_of(self.text if self.is_key else key_name_of(self.text))

    def verify(self, keyring: Keyring) -> Grant:
        """Verify it against the keys of its app.

        Raise what `Keyring` raises, and AblyError 40102 when the clientId is not the token's.
        """
        if self.is_key:
            return keyring.verify_key(self.text, self.client_id)
        grant = keyring.verify_token(self.text)
        if self.client_id in (None, ANY_CLIENT) or grant.client_id in (self.client_id, ANY_CLIENT):
            return grant
        raise AblyError(ErrorCode.INCOMPATIBLE_CREDENTIALS, "clientId does not match the token's")


def from_request(headers: Mapping[str, str], query: Mapping[str, str]) -> Credential:
    """Find the credentials of an HTTP request: in `Authorization`, or else in the query.

    Raise AblyError 40101 when there are none, or they cannot be read.
    """
    scheme, _, value = headers.get("Authorization", "").partition(" ")
    header = headers.get("X-Ably-ClientId")
    client_id = _unwrapped(header) if header else query.get("clientId") or None
    if scheme.lower() == "basic":
        return _key(_unwrapped(value), client_id)
    if scheme.lower() == "bearer":
        # A JWT has dots, which base64 has not: so a wrapped token can be distinguished from one that is not.
        token = value.strip()
        return Credential(token if "." in token else _unwrapped(token), is_key=False, client_id=client_id)
    return from_query(query, client_id)


def from_query(query: Mapping[str, str], client_id: str | None) -> Credential:
    """Find credentials given as `key`, `access_token` or `accessToken`; raises as `from_request` does."""
    if query.get("key"):
        return _key(query["key"], client_id)
    token = query.get("access_token") or query.get("accessToken")
    if not token:
        raise AblyError(ErrorCode.INVALID_CREDENTIALS, "no authentication information provided")
    return Credential(token, is_key=False, client_id=client_id)


def _key(text: str, client_id: str | None) -> Credential:
    name, separator, _ = text.partition(":")
    if not separator or "." not in name:
        raise AblyError(ErrorCode.INVALID_CREDENTIALS, "invalid key in request")
    return Credential(text, is_key=True, client_id=client_id)


def _unwrapped(value: str) -> str:
    try:
        return base64.b64decode(value.strip(), validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise AblyError(ErrorCode.INVALID_CREDENTIALS, "credentials are not base64") from error
