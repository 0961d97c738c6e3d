"""Why a caller was refused, in one of a few words: for metrics and logs, never for the caller."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import jwt

from rdchat.common.errors import ErrorCode

if TYPE_CHECKING:
    from rdchat.common.errors import RdchatError

NO_TOKEN: Final = "no_token"  # noqa: S105 - no secret
UNKNOWN_KEY: Final = "unknown_key"
OTHER: Final = "other"
#: What PyJWT finds wrong, from the special to the general.
_OF_TOKENS: Final = (
    (jwt.ExpiredSignatureError, "expired"),
    (jwt.ImmatureSignatureError, "not_yet_valid"),
    (jwt.InvalidSignatureError, "signature"),
    (jwt.InvalidAlgorithmError, "algorithm"),
    (jwt.InvalidIssuerError, "issuer"),
    (jwt.InvalidAudienceError, "audience"),
    (jwt.MissingRequiredClaimError, "claims"),
    (jwt.DecodeError, "malformed"),
    (jwt.PyJWTError, OTHER),
    # What reading the claims of a token raises whose signature holds, or the head of one that is none.
    (Exception, "claims"),
)


def reason_of(error: RdchatError) -> str:
    """Return why a request was answered 401 or 403.

    That is what the error itself says; or what was wrong with the token; or the code, in lower case.
    """
    if error.reason is not None:
        return error.reason
    if error.code is not ErrorCode.UNAUTHENTICATED:
        return error.code.value.lower()
    cause = error.__cause__
    return next((word for kind, word in _OF_TOKENS if isinstance(cause, kind)), OTHER)
