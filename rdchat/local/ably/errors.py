"""Ably's error codes, and the one exception that carries them to a client."""

from __future__ import annotations

from enum import IntEnum

_FIRST_HTTP_CODE = 40000
_LAST_HTTP_CODE = 59999
_FIRST_SERVICE_STATUS = 500
_TOKEN_ERRORS = range(40140, 40150)


class ErrorCode(IntEnum):
    """The codes of Ably's error registry that this endpoint answers with.

    Their meaning: https://ably.com/docs/platform/errors/codes.
    """

    BAD_REQUEST = 40000
    INVALID_BODY = 40001
    INVALID_PARAMETER = 40003
    INVALID_CONNECTION = 40006
    MESSAGE_TOO_LARGE = 40009
    INVALID_CHANNEL_NAME = 40010
    INVALID_CLIENT_ID = 40012
    INVALID_DATA = 40013
    INVALID_NAME = 40016
    BATCH_ERROR = 40020
    NOT_AVAILABLE = 40021
    OTHER_SITE = 40024
    INVALID_MESSAGE_ID = 40031
    INVALID_EXTRAS = 40032
    TOO_MANY_MESSAGES = 40034
    FORCED = 40099
    INVALID_CREDENTIALS = 40101
    INCOMPATIBLE_CREDENTIALS = 40102
    TIMESTAMP_NOT_CURRENT = 40104
    NONCE_REPLAYED = 40105
    OTHER_KEY = 40133
    TOKEN_REVOKED = 40141
    TOKEN_EXPIRED = 40142
    TOKEN_UNRECOGNISED = 40143
    INVALID_JWT = 40144
    NOT_PERMITTED = 40160
    REQUIRES_KEY = 40162
    NOT_REVOCABLE = 40164
    MODE_NOT_REQUESTED = 40165
    OWNS_NO_MESSAGES = 40166
    FORBIDDEN = 40300
    NOT_FOUND = 40400
    RATE_LIMITED = 42910
    CONNECTION_RATE = 42911
    CHANNEL_RATE = 42913
    CONNECTION_RATE_FATAL = 42921
    FRAME_RATE_FATAL = 42924
    INTERNAL = 50000
    CONNECTION_EXPIRED = 80008
    INVALID_CONNECTION_KEY = 80018
    SUBSCRIBE_RATE = 80020
    CHANNEL_STATE = 90001
    CONTINUITY_LOST = 90003
    BACKLOG_TOO_LARGE = 90004
    TOO_MANY_CHANNELS = 90010
    NO_CLIENT_ID = 91000
    TOO_MANY_MEMBERS = 91003
    IMMUTABLE_MESSAGES = 93002


class AblyError(Exception):
    """A refusal that is sent to the client in Ably's own form.

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

    @property
    def is_token_error(self) -> bool:
        """Whether a new token would help: Ably's SDKs ask for one at these codes."""
        return self.code in _TOKEN_ERRORS

    @property
    def is_service_error(self) -> bool:
        """Whether the service is at fault: the same may well succeed a little later."""
        return self.status >= _FIRST_SERVICE_STATUS

    def wire(self) -> dict[str, object]:
        """Ably's `ErrorInfo`: `{code, statusCode, message, href}`."""
        return {
            "code": self.code,
            "statusCode": self.status,
            "message": self.message,
            "href": f"https://help.ably.io/error/{self.code}",
        }
