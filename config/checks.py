"""Checks on the settings as a whole: that they are known, and fit together.

Checks get `values` by the names of Settings' fields, without faulty ones, and the names of all that
were `given`: what was given but cannot be used is not also reported as missing.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

from config.declaring import PREFIX
from config.exposure import exposed
from config.secrecy import weak_secrets
from config.webhooks import webhook_faults

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

#: Settings that there were once, each with the one that replaces it: its name may be nothing alike.
REPLACED: Final = {"RDCHAT_TEXTS": "RDCHAT_ORGANIZATIONS"}


def unknown_names(names: Iterable[str], known: Collection[str]) -> list[str]:
    """Return the variables that look like settings but are none, each with the setting that is meant."""
    # Without the prefix, which all of them share and which would make any two look alike.
    nearest = {name.removeprefix(PREFIX): name for name in known}
    faults = []
    for name in sorted(set(names) - set(known)):
        if name in REPLACED:
            faults.append(f"{name} is not a setting any more. {REPLACED[name]} replaces it.")
        elif name.startswith(PREFIX):
            (match,) = get_close_matches(name.removeprefix(PREFIX), nearest, n=1, cutoff=0)
            faults.append(f"{name} is not a setting. Did you mean {nearest[match]}?")
    return faults


def contradictions(values: Mapping[str, Any], given: Collection[str], *, default_host: str = "") -> list[str]:
    """Return which settings contradict one another, lack others, or give away what they should keep.

    `default_host` is where PostgreSQL is when its address does not say so.
    """
    faults = []
    shortest, longest = values.get("min_session"), values.get("max_session")
    if shortest and longest and shortest > longest:
        faults.append("RDCHAT_MIN_SESSION: must not be longer than RDCHAT_MAX_SESSION.")
    notice, horizon = values.get("booking_notice"), values.get("booking_horizon")
    if notice and horizon and notice >= horizon:
        faults.append("RDCHAT_BOOKING_NOTICE: must be shorter than RDCHAT_BOOKING_HORIZON.")
    if values.get("ably_cipher") and values.get("dialect") is not None:
        faults.append("RDCHAT_ABLY_CIPHER: the app that RDCHAT_DIALECT is for has no key; set one of them.")
    faults += _algorithm_faults(values, given)
    if ("oidc_authority" in given) != ("oidc_client_id" in given):
        faults.append("RDCHAT_OIDC_AUTHORITY, RDCHAT_OIDC_CLIENT_ID: set both of them, or neither.")
    if "oidc_authority" in given and "jwt_jwks_url" not in given:
        faults.append(
            "RDCHAT_OIDC_AUTHORITY: its tokens are verified by RDCHAT_JWT_JWKS_URL; set that as well."
        )
    if ("s3_access_key_id" in given) != ("s3_secret_access_key" in given):
        faults.append("RDCHAT_S3_ACCESS_KEY_ID, RDCHAT_S3_SECRET_ACCESS_KEY: set both of them, or neither.")
    faults += webhook_faults(
        values.get("webhook_urls", ()),
        signed="webhook_secrets" in given,
        allow_private=values.get("webhook_allow_private", False),
    )
    if "migrate_database_url" in given and "database_url" not in given:
        faults.append("RDCHAT_MIGRATE_DATABASE_URL: belongs to RDCHAT_DATABASE_URL; set that as well.")
    if values.get("database_url") is not None:
        faults += _missing_secrets(given)
        faults += exposed(values, given, default_host=default_host)
        faults += weak_secrets(values, given)
    return faults


def _algorithm_faults(values: Mapping[str, Any], given: Collection[str]) -> list[str]:
    faults = []
    has_key_set = "jwt_jwks_url" in given
    if has_key_set and "jwt_secret" in given:
        faults.append("RDCHAT_JWT_SECRET, RDCHAT_JWT_JWKS_URL: set one of them, not both.")
    symmetric = {name.startswith("HS") for name in values.get("jwt_algorithms", ())}
    if len(symmetric) > 1:
        faults.append("RDCHAT_JWT_ALGORITHMS: symmetric (HS*) and asymmetric ones must not be mixed.")
    elif symmetric == {True} and has_key_set:
        faults.append(
            "RDCHAT_JWT_ALGORITHMS: a key set (RDCHAT_JWT_JWKS_URL) needs asymmetric ones, e.g. RS256."
        )
    elif symmetric == {False} and not has_key_set:
        faults.append("RDCHAT_JWT_ALGORITHMS: asymmetric ones need RDCHAT_JWT_JWKS_URL.")
    return faults


def _missing_secrets(given: Collection[str]) -> list[str]:
    """Return which secrets are missing and must not be generated."""
    faults = []
    if not {"jwt_secret", "jwt_jwks_url"} & set(given):
        faults.append(
            "RDCHAT_JWT_SECRET or RDCHAT_JWT_JWKS_URL: required with RDCHAT_DATABASE_URL; "
            "generated secrets are for the embedded default only."
        )
    if "encryption_keys" not in given:
        faults.append(
            "RDCHAT_ENCRYPTION_KEYS: required with RDCHAT_DATABASE_URL, or no one could read its messages "
            "from another machine. Make one: echo main:$(openssl rand -base64 32)"
        )
    return faults
