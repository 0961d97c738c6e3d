"""The one list of error codes, and the exception that carries one to the edge.

A refusal of the state machine is a value until it reaches HTTP; exceptions are raised for requests that no
session can answer.
"""

from __future__ import annotations

from enum import StrEnum


class ErrorCode(StrEnum):
    """Stable codes: clients branch on them."""

    CHAT_NOT_ENABLED = "CHAT_NOT_ENABLED"
    SESSION_ENDED = "SESSION_ENDED"
    SESSION_NOT_FOUND = "SESSION_NOT_FOUND"
    NOT_PARTICIPANT = "NOT_PARTICIPANT"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    FORBIDDEN = "FORBIDDEN"
    VALIDATION_FAILED = "VALIDATION_FAILED"
    CLIENT_LIMIT = "CLIENT_LIMIT"
    PSYCHOLOGIST_LIMIT = "PSYCHOLOGIST_LIMIT"
    NO_PSYCHOLOGIST = "NO_PSYCHOLOGIST"
    TOO_LATE = "TOO_LATE"
    PENDING_LIMIT = "PENDING_LIMIT"
    QUICK_REPLY_LIMIT = "QUICK_REPLY_LIMIT"
    ILLEGAL_TRANSITION = "ILLEGAL_TRANSITION"
    LEGAL_HOLD = "LEGAL_HOLD"
    PRECONDITION_FAILED = "PRECONDITION_FAILED"
    PAYLOAD_TOO_LARGE = "PAYLOAD_TOO_LARGE"
    RANGE_NOT_SATISFIABLE = "RANGE_NOT_SATISFIABLE"
    RATE_LIMITED = "RATE_LIMITED"
    IDEMPOTENCY_MISMATCH = "IDEMPOTENCY_MISMATCH"
    IDEMPOTENCY_IN_FLIGHT = "IDEMPOTENCY_IN_FLIGHT"
    UNAVAILABLE = "UNAVAILABLE"
    NOT_FOUND = "NOT_FOUND"
    METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED"
    BAD_REQUEST = "BAD_REQUEST"
    INTERNAL = "INTERNAL"


#: The message for people, and the HTTP status, by code.
ERRORS: dict[ErrorCode, tuple[int, str]] = {
    ErrorCode.CHAT_NOT_ENABLED: (400, "Chat is not enabled for this session yet"),
    ErrorCode.SESSION_ENDED: (400, "Chat session has ended"),
    ErrorCode.SESSION_NOT_FOUND: (404, "Chat session not found"),
    ErrorCode.NOT_PARTICIPANT: (403, "You are not a participant in this chat session"),
    ErrorCode.UNAUTHENTICATED: (401, "Authentication required"),
    ErrorCode.FORBIDDEN: (403, "You do not have permission to do this"),
    ErrorCode.VALIDATION_FAILED: (400, "Validation failed"),
    ErrorCode.CLIENT_LIMIT: (409, "You already have a counseling at this time"),
    ErrorCode.PSYCHOLOGIST_LIMIT: (409, "Psychologist is at capacity at this time"),
    ErrorCode.NO_PSYCHOLOGIST: (409, "No psychologist is available at this time"),
    ErrorCode.TOO_LATE: (409, "It is too late for this"),
    ErrorCode.PENDING_LIMIT: (409, "You have too many counselings ahead"),
    ErrorCode.QUICK_REPLY_LIMIT: (409, "You have too many quick replies"),
    ErrorCode.ILLEGAL_TRANSITION: (409, "This is not possible in the present state"),
    ErrorCode.LEGAL_HOLD: (409, "A legal hold has to be lifted first"),
    ErrorCode.PRECONDITION_FAILED: (412, "This was changed in the meantime: look again"),
    ErrorCode.PAYLOAD_TOO_LARGE: (413, "The request is too large"),
    ErrorCode.RANGE_NOT_SATISFIABLE: (416, "There is no such part of it"),
    ErrorCode.RATE_LIMITED: (429, "Too many requests"),
    ErrorCode.IDEMPOTENCY_MISMATCH: (422, "This Idempotency-Key was used with another request"),
    ErrorCode.IDEMPOTENCY_IN_FLIGHT: (409, "The request with this Idempotency-Key is still being worked on"),
    ErrorCode.UNAVAILABLE: (503, "The service is not available right now, please try again"),
    ErrorCode.NOT_FOUND: (404, "Not found"),
    ErrorCode.METHOD_NOT_ALLOWED: (405, "Method not allowed"),
    ErrorCode.BAD_REQUEST: (400, "The request could not be understood"),
    ErrorCode.INTERNAL: (500, "Something went wrong on our side"),
}


class RdchatError(Exception):
    """A request that cannot be answered.

    `fields` holds what is wrong with which field of the input; `headers` go with the answer. `reason` says in
    one of a few words why a caller is refused, for metrics and logs.
    """

    def __init__(
        self,
        code: ErrorCode,
        message: str | None = None,
        *,
        fields: dict[str, list[str]] | None = None,
        retry_after: int | None = None,
        headers: dict[str, str] | None = None,
        reason: str | None = None,
    ) -> None:
        self.code = code
        self.status, default = ERRORS[code]
        self.message = message or default
        self.fields = fields
        self.retry_after = retry_after
        self.headers = headers or {}
        self.reason = reason
        super().__init__(self.message)


class UnavailableError(RdchatError):
    """A store is unavailable. `retry_after` is in seconds."""

    def __init__(self, what: str, *, retry_after: int = 1) -> None:
        super().__init__(ErrorCode.UNAVAILABLE, retry_after=retry_after)
        self.what = what
        self.add_note(f"{what} is away")


def invalid(field: str, text: str) -> RdchatError:
    """Make the error for one invalid field of the input."""
    return RdchatError(ErrorCode.VALIDATION_FAILED, fields={field: [text]})
