"""What an operator may set, read once from the environment and checked as a whole.

Every variable, its default and its meaning stand in `rdchat.env.example`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

from environs import FileAwareEnv, validate

from config import texts_file
from config.checks import (
    bucket,
    contradictions,
    key_of_ably,
    long_enough,
    missing_secrets,
    parse_keys,
    parse_rates,
    some_of,
    unreadable_secret_files,
    with_scheme,
)
from config.development import development_secrets
from config.texts import LANGUAGES
from config.webhooks import webhook_faults, webhook_secrets

if TYPE_CHECKING:
    from limits import RateLimitItem

    from config.texts_file import Texts

ROLES: Final = frozenset({"api", "worker", "relay"})
#: Files are held in memory while they are examined and sealed.
_LARGEST_ATTACHMENT: Final = 64 * 1024 * 1024
_ALGORITHMS: Final = frozenset(
    {"HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "ES256", "ES384", "PS256", "EdDSA"}
)


class SettingsError(ValueError):
    """The settings cannot be used. `faults` lists everything that is wrong with them, a sentence each."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of one replica. Durations are `timedelta`; an unset address means: embedded."""

    host: str
    port: int
    data_dir: Path
    database_url: str | None
    redis_url: str | None
    ably_key: str
    ably_is_local: bool
    ably_endpoint: str | None
    ably_local_port: int
    jwt_secret: str | None
    jwt_jwks_url: str | None
    jwt_algorithms: tuple[str, ...]
    jwt_issuer: str
    jwt_audience: str
    initial_message_lead: timedelta
    end_warning_lead: timedelta
    min_session: timedelta
    max_session: timedelta
    booking_horizon: timedelta
    max_active_per_client: int
    max_active_per_psychologist: int
    extension_step: timedelta
    rate_limits: dict[str, RateLimitItem]
    encryption_keys: dict[str, bytes]
    language: str
    texts: Texts
    roles: frozenset[str]
    log_format: str
    drain: timedelta
    max_attachment: int
    storage_url: str | None
    s3_endpoint: str | None
    s3_region: str | None
    s3_access_key_id: str | None
    s3_secret_access_key: str | None
    webhook_urls: tuple[str, ...]
    webhook_secrets: tuple[bytes, ...]
    webhook_allow_private: bool


def load() -> Settings:
    """Read the environment (`RDCHAT_*`; secrets also as `RDCHAT_*_FILE`).

    Raises SettingsError with all faults at once.
    """
    faults = unreadable_secret_files()
    if faults:
        raise SettingsError(faults)
    env = FileAwareEnv(eager=False, prefix="RDCHAT_", strip_whitespace=True)
    positive = validate.Range(min=0, min_inclusive=False)
    port = validate.Range(min=0, max=65535)
    data_dir = env.path("DATA_DIR", Path(".rdchat"))
    database_url = env.str("DATABASE_URL", None, validate=with_scheme("postgresql", "postgres"))
    redis_url = env.str("REDIS_URL", None, validate=with_scheme("redis", "rediss", "unix"))
    ably_key = env.str("ABLY_KEY", None, validate=key_of_ably)
    ably_endpoint = env.str("ABLY_ENDPOINT", None)
    jwt_secret = env.str("JWT_SECRET", None, validate=long_enough)
    jwks_url = env.str("JWT_JWKS_URL", None, validate=with_scheme("https", "http"))
    keys_text = env.str("ENCRYPTION_KEYS", None, validate=parse_keys)
    algorithms = env.list("JWT_ALGORITHMS", ["HS256"], validate=some_of(_ALGORITHMS))
    values: dict[str, Any] = {
        "host": env.str("HOST", "127.0.0.1"),
        "port": env.int("PORT", 8080, validate=port),
        "ably_local_port": env.int("ABLY_LOCAL_PORT", 8081, validate=port),
        "jwt_issuer": env.str("JWT_ISSUER", "rdchat"),
        "jwt_audience": env.str("JWT_AUDIENCE", "rdchat"),
        "language": env.str("LANGUAGE", "id", validate=validate.OneOf(LANGUAGES)),
        "log_format": env.str("LOG_FORMAT", "text", validate=validate.OneOf(("text", "json"))),
        "max_active_per_client": env.int("MAX_ACTIVE_PER_CLIENT", 1, validate=positive),
        "max_attachment": env.int(
            "MAX_ATTACHMENT", 10 * 1024 * 1024, validate=validate.Range(min=1, max=_LARGEST_ATTACHMENT)
        ),
        "storage_url": env.str("STORAGE_URL", None, validate=bucket),
        "s3_endpoint": env.str("S3_ENDPOINT", None, validate=with_scheme("https", "http")),
        "s3_region": env.str("S3_REGION", None),
        "s3_access_key_id": env.str("S3_ACCESS_KEY_ID", None),
        "s3_secret_access_key": env.str("S3_SECRET_ACCESS_KEY", None),
        "max_active_per_psychologist": env.int("MAX_ACTIVE_PER_PSYCHOLOGIST", 5, validate=positive),
    }
    rates = env.str("RATE_LIMITS", "", validate=parse_rates)
    horizon = env.int("BOOKING_HORIZON", 366, validate=validate.Range(min=1, max=36500))
    texts, text_faults = texts_file.read(env.path("TEXTS", None))
    roles = env.list("ROLES", sorted(ROLES), validate=some_of(ROLES))
    seconds = {
        "initial_message_lead": env.float(
            "INITIAL_MESSAGE_LEAD", 600.0, validate=validate.Range(min=0, max=86400)
        ),
        "end_warning_lead": env.float("END_WARNING_LEAD", 300.0, validate=validate.Range(min=0, max=86400)),
        "drain": env.float("DRAIN_SECONDS", 1.0, validate=validate.Range(min=0, max=600)),
        "min_session": env.float("MIN_SESSION", 600.0, validate=positive),
        "extension_step": env.float("EXTENSION_STEP", 300.0, validate=validate.Range(min=60, max=86400)),
        "max_session": env.float(
            "MAX_SESSION", 14400.0, validate=validate.Range(min=0, max=86400, min_inclusive=False)
        ),
    }
    webhook_urls: list[str] = env.list("WEBHOOK_URL", [])
    webhook_keys = env.str("WEBHOOK_SECRETS", None, validate=webhook_secrets)
    webhook_allow_private = env.bool("WEBHOOK_ALLOW_PRIVATE", False)
    faults = [f"{name}: {' '.join(texts)}" for name, texts in sorted(env._errors.items())]  # noqa: SLF001 - seal() raises only the first text it finds; an operator wants them all
    faults += text_faults
    faults += contradictions(seconds, jwt_secret, jwks_url, algorithms)
    if bool(values["s3_access_key_id"]) != bool(values["s3_secret_access_key"]):
        faults.append("RDCHAT_S3_ACCESS_KEY_ID, RDCHAT_S3_SECRET_ACCESS_KEY: set both of them, or neither.")
    signed = webhook_keys or any(fault.startswith("RDCHAT_WEBHOOK_SECRETS") for fault in faults)
    faults += webhook_faults(webhook_urls, signed=bool(signed), allow_private=webhook_allow_private)
    if database_url is not None:
        faults += missing_secrets(jwt_secret or jwks_url, keys_text)
    if faults:
        raise SettingsError(faults)
    generated = {} if ably_key and keys_text and (jwt_secret or jwks_url) else development_secrets(data_dir)
    return Settings(
        **values,
        **cast("dict[str, Any]", {name: timedelta(seconds=value) for name, value in seconds.items()}),
        booking_horizon=timedelta(days=horizon),
        texts=texts,
        data_dir=data_dir,
        database_url=database_url,
        redis_url=redis_url,
        ably_key=ably_key or generated["ably_key"],
        ably_is_local=ably_key is None,
        ably_endpoint=ably_endpoint,
        jwt_secret=jwt_secret or (None if jwks_url else generated["jwt_secret"]),
        jwt_jwks_url=jwks_url,
        jwt_algorithms=tuple(algorithms),
        rate_limits=parse_rates(rates),
        encryption_keys=parse_keys(keys_text or generated["encryption_keys"]),
        roles=frozenset(roles),
        webhook_urls=tuple(dict.fromkeys(url.strip() for url in webhook_urls)),
        webhook_secrets=webhook_secrets(webhook_keys) if webhook_keys else (),
        webhook_allow_private=webhook_allow_private,
    )
