"""Where a request carries its credentials, and what they amount to."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from .errors import AblyError, ErrorCode
from .grants import ANY_CLIENT, Grant

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .tokens import Keyring


def authenticate(keyring: Keyring, headers: Mapping[str, str], query: Mapping[str, str]) -> Grant:
    """Verify the credentials of an HTTP request: `Authorization`, or `key`, `access_token`, `accessToken`.

    Raises AblyError 40100 when there are none, else what `Keyring` raises, and 40102 when the request asks
    for another clientId than its token's.
    """
    scheme, _, value = headers.get("Authorization", "").partition(" ")
    client_id = _asserted_client_id(headers, query)
    if scheme.lower() == "basic":
        return keyring.verify_key(_unwrapped(value), client_id)
    if scheme.lower() == "bearer":
        return _for_client(keyring.verify_token(_bearer_token(value.strip())), client_id)
    return authenticate_query(keyring, query, client_id)


def authenticate_query(keyring: Keyring, query: Mapping[str, str], client_id: str | None) -> Grant:
    """Verify credentials given as `key`, `access_token` or `accessToken`; raises as `authenticate` does."""
    if query.get("key"):
        return keyring.verify_key(query["key"], client_id)
    token = query.get("access_token") or query.get("accessToken")
    if not token:
        raise AblyError(ErrorCode.UNAUTHORIZED, "no credentials given")
    return _for_client(keyring.verify_token(token), client_id)


def _for_client(grant: Grant, client_id: str | None) -> Grant:
    if client_id in (None, ANY_CLIENT) or grant.client_id in (client_id, ANY_CLIENT):
        return grant
    raise AblyError(ErrorCode.INCOMPATIBLE_CREDENTIALS, "clientId does not match the token's")


def _asserted_client_id(headers: Mapping[str, str], query: Mapping[str, str]) -> str | None:
    header = headers.get("X-Ably-ClientId")
    return _unwrapped(header) if header else query.get("clientId") or None


def _bearer_token(value: str) -> str:
    # A JWT has dots, which base64 has not: so a token that was wrapped can be told from one that was not.
    return value if "." in value else _unwrapped(value)


def _unwrapped(value: str) -> str:
    try:
        return base64.b64decode(value.strip(), validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise AblyError(ErrorCode.INVALID_CREDENTIALS, "credentials are not base64") from error
