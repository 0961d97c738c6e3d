"""Ably's error codes, and the one exception that carries them to a client."""

from __future__ import annotations

from enum import IntEnum

_FIRST_HTTP_CODE = 40000
_LAST_HTTP_CODE = 59999


class ErrorCode(IntEnum):
    """The codes of Ably's error registry that this endpoint answers with."""

    BAD_REQUEST = 40000
    INVALID_BODY = 40001
    INVALID_PARAMETER = 40003
    MESSAGE_TOO_LARGE = 40009
    INVALID_CHANNEL_NAME = 40010
    INVALID_CLIENT_ID = 40012
    INVALID_DATA = 40013
    INVALID_MESSAGE_ID = 40031
    UNAUTHORIZED = 40100
    INVALID_CREDENTIALS = 40101
    INCOMPATIBLE_CREDENTIALS = 40102
    TIMESTAMP_NOT_CURRENT = 40104
    NONCE_REPLAYED = 40105
    TOKEN_REVOKED = 40141
    TOKEN_EXPIRED = 40142
    TOKEN_UNRECOGNISED = 40143
    INVALID_JWT = 40144
    NOT_PERMITTED = 40160
    REQUIRES_KEY = 40162
    NOT_FOUND = 40400
    METHOD_NOT_ALLOWED = 40500
    INTERNAL = 50000
    CONNECTION_EXPIRED = 80008
    INVALID_CONNECTION_KEY = 80018
    CHANNEL_STATE = 90001
    CONTINUITY_LOST = 90003
    TOO_MANY_CHANNELS = 90021


class AblyError(Exception):
    """A refusal that is told to the client in Ably's own form.

    `status` is an HTTP status. Ably's 4xxxx and 5xxxx codes begin with theirs, so it need only be given for
    the codes of connections and channels (default 400) and where the two differ.
    """

    def __init__(self, code: int, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.code = int(code)
        self.message = message
        if status is None:
            status = self.code // 100 if _FIRST_HTTP_CODE <= self.code <= _LAST_HTTP_CODE else 400
        self.status = status

    def wire(self) -> dict[str, object]:
        """Ably's `ErrorInfo`: `{code, statusCode, message, href}`."""
        return {
            "code": self.code,
            "statusCode": self.status,
            "message": self.message,
            "href": f"https://help.ably.io/error/{self.code}",
        }
