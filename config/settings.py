"""The one table of what an operator may set.

Each field of Settings is declared with its variable, how its text is read, its default and its meaning.
Loading, `rdchat.env.example`, the rows in the README and `run.py settings` all come from here. It is long
because each setting stands here, and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from config import values
from config.addresses import authority, origins, public_url
from config.declaring import generated, optional, rows_of, setting
from config.exposure import waived
from config.texts import LANGUAGES
from config.webhooks import webhook_secrets, webhook_urls

if TYPE_CHECKING:
    from datetime import timedelta
    from ipaddress import IPv4Network, IPv6Network
    from pathlib import Path

    from limits import RateLimitItem

    from config.declaring import SettingRow
    from config.organizations import Organizations

ROLES: Final = frozenset({"api", "worker", "relay"})
#: Contracts of other programs that can be answered as well: packages in `handlers/dialects/`.
DIALECTS: Final = ("ruangdiri",)
#: Files are held in memory while they are examined and encrypted.
_LARGEST_ATTACHMENT: Final = 64 * 1024 * 1024
_ALGORITHMS: Final = frozenset(
    {"HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "ES256", "ES384", "PS256", "EdDSA"}
)
#: Within the table, its name is a field's.
_address = public_url
_port = values.whole(least=0, most=65535)
_lead = values.seconds(least=0, most=86400)
_ahead = values.seconds(least=0, most=30 * 86400)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of one replica. Durations are `timedelta`; an unset address means: embedded."""

    host: str = setting(
        "HOST", values.text, "127.0.0.1", "the address that the service listens on", section="HTTP"
    )
    port: int = setting("PORT", _port, "8080", "the port that the service listens on; 0: any free one")
    operations_host: str = setting(
        "OPERATIONS_HOST", values.text, "127.0.0.1", "the address that `RDCHAT_OPERATIONS_PORT` is on"
    )
    operations_port: int | None = optional(
        "OPERATIONS_PORT",
        _port,
        "a port for `/metrics` and `/docs`; `/healthz`, `/readyz` and the API's documents are there as well",
        details="Keep it from strangers. All processes of a replica share it.",
        unset="both are on `RDCHAT_PORT`, for this machine alone and through no proxy",
        example="9090",
    )
    public_url: str | None = optional(
        "PUBLIC_URL",
        public_url,
        "how clients reach the service, with the path that a proxy takes away, if any",
        details="Every link in an answer begins with it. What a proxy says in its headers is not believed.",
        unset="from host and port",
        example="https://chat.example/rdchat",
    )
    cors_origins: frozenset[str] | None = optional(
        "CORS_ORIGINS",
        origins,
        "the origins, comma separated, whose pages may call from browsers",
        details="Each as a whole: scheme, host, and port unless it is the usual one; no path, no `*`.",
        unset="this machine's own with embedded stores, else none",
        example="https://app.example,http://localhost:3000",
    )

    dialect: str | None = optional(
        "DIALECT",
        values.one_of(DIALECTS),
        "`ruangdiri`: answers, beside its own contract, also what the existing web app expects "
        "(docs/dialects.md)",
        details="Set it for every replica, or for none.",
        unset="none",
        example="ruangdiri",
    )

    data_dir: Path = setting(
        "DATA_DIR",
        values.path,
        ".rdchat",
        "the folder of private stores, development secrets and files",
        section="Stores: each unset one is embedded and lives in the data directory",
    )
    database_url: str | None = optional(
        "DATABASE_URL",
        values.with_scheme("postgresql", "postgres"),
        "your PostgreSQL (15 or later); `RDCHAT_ENCRYPTION_KEYS`, `RDCHAT_JWT_SECRET` or "
        "`RDCHAT_JWT_JWKS_URL`, and `RDCHAT_ABLY_KEY` are then required",
        unset="a private one",
        example="postgresql://rdchat_service:...@db.example/rdchat?sslmode=verify-full&sslrootcert=...",
        secret=True,
    )
    migrate_database_url: str | None = optional(
        "MIGRATE_DATABASE_URL",
        values.with_scheme("postgresql", "postgres"),
        "the same database, as the owner of its schema: for `run.py migrate` alone, where the service has a "
        "role of its own",
        details="`run.py database roles` makes both roles. The service itself need not know this address.",
        unset="`RDCHAT_DATABASE_URL`, which then migrates by itself",
        example="postgresql://rdchat_owner:...@db.example/rdchat?sslmode=verify-full&sslrootcert=...",
        secret=True,
    )
    redis_url: str | None = optional(
        "REDIS_URL",
        values.with_scheme("redis", "rediss", "unix"),
        "your Redis or Valkey (6.2 or later); a cluster by the address of any node",
        unset="a private one",
        example="rediss://:...@redis.example:6379/0",
        secret=True,
    )
    allow_insecure: frozenset[str] = setting(
        "ALLOW_INSECURE",
        waived,
        "",
        "what may be reached over a network without TLS, or without seeing who answers: `postgres`, `redis`, "
        "`jwks`, comma separated",
        details="With a database of your own, each is verified unless it is on this machine.",
        example="redis",
    )

    ably_key: str = generated(
        "ABLY_KEY",
        values.key_of_ably,
        "the key of your Ably app, to which events then go",
        section="Ably: unset, a local endpoint speaks its protocol",
        unset="the local endpoint",
        example="app.key:...",
    )
    #: Follows from whether a key is set.
    ably_is_local: bool
    ably_local_port: int = setting(
        "ABLY_LOCAL_PORT", _port, "8081", "the port that the local endpoint listens on; 0: any free one"
    )
    ably_endpoint: str | None = optional(
        "ABLY_ENDPOINT",
        values.text,
        "another rdchat's local endpoint (`host:port`), for a second replica on one machine",
        example="127.0.0.1:8081",
    )
    # Ably revokes only tokens that live an hour at most; and sessions are heard from an hour before on.
    ably_token_lifetime: timedelta = setting(
        "ABLY_TOKEN_LIFETIME",
        values.seconds(least=60, most=3600),
        "1800",
        "how long clients listen by one token at most, and never longer than to the end and five minutes",
        unit="seconds",
    )
    ably_cipher: bool = setting(
        "ABLY_CIPHER",
        values.flag,
        "false",
        "whether what is said is encrypted on its way through Ably, with a key for each session; clients are "
        "given it with their token (docs/realtime.md)",
        details="The same for every replica. Change it while no chat is open: clients learn the other name "
        "of a channel with their next token.",
    )

    jwt_secret: str | None = generated(
        "JWT_SECRET",
        values.long_enough,
        "the secret of 32 bytes or more that callers' tokens are signed with",
        section="Who may call: a shared secret, or the key set of your identity provider",
        unset="generated",
        example="...",
    )
    jwt_jwks_url: str | None = optional(
        "JWT_JWKS_URL",
        values.with_scheme("https", "http"),
        "the key set of your identity provider, instead of `RDCHAT_JWT_SECRET`",
        example="https://id.example/.well-known/jwks.json",
    )
    jwt_algorithms: tuple[str, ...] = setting(
        "JWT_ALGORITHMS",
        values.some_of(_ALGORITHMS, tuple),
        "HS256",
        "how tokens may be signed, comma separated; a key set needs asymmetric ways, such as `RS256`",
    )
    jwt_issuer: str = setting("JWT_ISSUER", values.text, "rdchat", "who issues tokens (`iss`)")
    jwt_audience: str = setting("JWT_AUDIENCE", values.text, "rdchat", "whom tokens are issued for (`aud`)")

    jwt_max_lifetime: timedelta = setting(
        "JWT_MAX_LIFETIME",
        values.seconds(least=60, most=30 * 86400),
        "86400",
        "how long a token may live, from `iat` to `exp`; one that lives longer is refused",
        unit="seconds",
    )
    jwt_keys_trust: timedelta = setting(
        "JWT_KEYS_TRUST",
        values.seconds(least=60, most=30 * 86400),
        "86400",
        "how long keys stay in use while the key set cannot be fetched",
        unit="seconds",
    )

    #: Follows from whether there is a secret or a key set.
    jwt_secret_is_generated: bool = False
    oidc_authority: str | None = optional(
        "OIDC_AUTHORITY",
        _address,
        "the identity provider that people sign in to the pages at `/app` with, by OpenID Connect",
        details="Its access tokens must be such as RDCHAT_JWT_JWKS_URL verifies. Its address without "
        "/.well-known/openid-configuration.",
        unset="with your own secret or key set, `/app` is off",
        example="https://id.example/realms/klinik",
    )
    oidc_client_id: str | None = optional(
        "OIDC_CLIENT_ID",
        values.text,
        "what the identity provider knows these pages as: a public client, with PKCE and without a secret",
        details="It must allow to be sent back to /app/sign-in/done, and after signing out to /app.",
        example="rdchat-web",
    )
    oidc_scope: str = setting(
        "OIDC_SCOPE", values.text, "openid profile email", "what the pages ask the identity provider for"
    )

    initial_message_lead: timedelta = setting(
        "INITIAL_MESSAGE_LEAD",
        _lead,
        "600",
        "how long before the start the first message is sent",
        section="Sessions",
        unit="seconds",
    )
    end_warning_lead: timedelta = setting(
        "END_WARNING_LEAD", _lead, "300", "how long before the end it is announced", unit="seconds"
    )
    min_session: timedelta = setting(
        "MIN_SESSION", values.seconds(above=0), "600", "how long a counselling lasts at least", unit="seconds"
    )
    max_session: timedelta = setting(
        "MAX_SESSION",
        values.seconds(above=0, most=86400),
        "14400",
        "how long a counselling lasts at most",
        unit="seconds",
    )
    max_active_per_client: int = setting(
        "MAX_ACTIVE_PER_CLIENT", values.whole(above=0), "1", "counsellings that a client may have at one time"
    )
    max_active_per_psychologist: int = setting(
        "MAX_ACTIVE_PER_PSYCHOLOGIST",
        values.whole(above=0),
        "5",
        "counsellings that a psychologist may have at one time",
    )
    max_pending_per_client: int = setting(
        "MAX_PENDING_PER_CLIENT",
        values.whole(above=0),
        "10",
        "counsellings that a client may have ahead",
        details="This and the next two bind clients only, not psychologists or administrators.",
    )
    booking_notice: timedelta = setting(
        "BOOKING_NOTICE",
        _ahead,
        "0",
        "how long before the start a client books at the latest, or moves to that time",
        unit="seconds",
    )
    cancel_deadline: timedelta = setting(
        "CANCEL_DEADLINE",
        _ahead,
        "0",
        "how long before the start a client cancels or moves at the latest; 0: as long as it is possible",
        unit="seconds",
    )
    reminders: tuple[timedelta, ...] = setting(
        "REMINDERS",
        values.reminders,
        "86400,3600",
        "how long before the start both are reminded, comma separated, or `off`",
        details="Of what is booked from then on.",
        unit="seconds",
    )
    extension_step: timedelta = setting(
        "EXTENSION_STEP",
        values.seconds(least=60, most=86400),
        "300",
        "what an extension is a multiple of",
        unit="seconds",
    )
    booking_horizon: timedelta = setting(
        "BOOKING_HORIZON", values.days(least=1, most=36500), "366", "how far ahead can be booked", unit="days"
    )
    language: str = setting(
        "LANGUAGE",
        values.one_of(LANGUAGES),
        "id",
        "the language of automated texts (`id`, `en`), unless organisation or booking names another",
    )
    organizations: Organizations = setting(
        "ORGANIZATIONS",
        values.organizations_file,
        "",
        "a file with crisis contacts, automated texts and languages, for all and single organisations, as "
        "`config/organizations.example.toml`",
        example="config/organizations.example.toml",
    )

    rate_limits: dict[str, RateLimitItem] = setting(
        "RATE_LIMITS",
        values.rate_limits,
        ",".join(f"{kind}={rate}" for kind, rate in values.RATES.items()),
        "how often one person may call, as `message=60/minute`, by kind and comma separated; or `off`",
        section="Calls",
        details="A kind that is not named keeps its default. Ending a session has no limit.",
        unset="see `config/rdchat.env.example`",
    )

    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = setting(
        "TRUSTED_PROXIES",
        values.networks,
        "",
        "addresses and networks of proxies in front, comma separated: their `X-Forwarded-For` says who comes",
        details="For limits on what comes without a token, and for nothing else.\n"
        "A proxy on this machine needs no entry, but without one all that it hands on is let through.",
        example="10.0.0.0/8,fd00::/8",
    )

    encryption_keys: dict[str, bytes] = generated(
        "ENCRYPTION_KEYS",
        values.encryption_keys,
        "keys for stored texts and files: `kid:base64` of 32 bytes, comma separated; the first encrypts",
        section="Encryption at rest",
        details="All of them open. RDCHAT_ENCRYPTION_KEYS_COMMAND is run at the start and prints them.\n"
        "Make one: echo main:$(openssl rand -base64 32)",
        command=True,
        unset="generated",
        example="main:...",
    )

    max_attachment: int = setting(
        "MAX_ATTACHMENT",
        values.whole(least=1, most=_LARGEST_ATTACHMENT),
        str(64 * 1024 * 1024),
        "the largest file that can be sent; 64 MiB at most, which a picture of 200 million pixels may need",
        section="Attachments",
        unit="bytes",
    )
    clamd: str | None = optional(
        "CLAMD",
        values.listener,
        "where a virus scanner (ClamAV's clamd) listens, which is asked about every file",
        details="host:port, or the path of its socket. While it is away no file is accepted.\n"
        "Its StreamMaxLength must be RDCHAT_MAX_ATTACHMENT or more.",
        unset="none",
        example="127.0.0.1:3310",
    )
    storage_url: str | None = optional(
        "STORAGE_URL",
        values.bucket,
        "a bucket for files, of any store that speaks S3's protocol",
        details="Unset, they lie in the folder attachments of the data directory, which replicas must share.",
        unset="a folder in `RDCHAT_DATA_DIR`",
        example="s3://bucket/prefix",
    )
    s3_endpoint: str | None = optional(
        "S3_ENDPOINT",
        values.with_scheme("https", "http"),
        "the address of the bucket's store",
        unset="Amazon's",
        example="https://s3.example",
    )
    s3_region: str | None = optional(
        "S3_REGION", values.text, "the region of the bucket's store", example="ap-southeast-3"
    )
    s3_access_key_id: str | None = optional(
        "S3_ACCESS_KEY_ID",
        values.text,
        "the id of the key to the bucket",
        details="Unset, the machine's own credentials are used.",
        unset="the machine's own",
        example="...",
        secret=True,
    )
    s3_secret_access_key: str | None = optional(
        "S3_SECRET_ACCESS_KEY",
        values.text,
        "the secret of that key",
        unset="the machine's own",
        example="...",
        secret=True,
    )

    roles: frozenset[str] = setting(
        "ROLES",
        values.some_of(ROLES, frozenset),
        ",".join(sorted(ROLES)),
        "what this replica does, comma separated",
        section="This replica",
    )
    drain: timedelta = setting(
        "DRAIN_SECONDS",
        values.seconds(least=0, most=600),
        "1",
        "how long `/readyz` answers 503 after SIGTERM, before the replica stops listening",
        unit="seconds",
    )
    log_format: str = setting(
        "LOG_FORMAT",
        values.one_of(("text", "json")),
        "text",
        "how logs are written: `text` for people, `json` for collectors",
    )

    webhook_urls: tuple[str, ...] = setting(
        "WEBHOOK_URL",
        webhook_urls,
        "",
        "programs that receive notifications: `https` and on public addresses, comma separated",
        section="Webhooks (docs/webhooks.md)",
        example="https://hooks.example/rdchat",
        # The query of an address is never shown.
        secret=True,
    )
    webhook_secrets: tuple[bytes, ...] = setting(
        "WEBHOOK_SECRETS",
        webhook_secrets,
        "",
        "secrets that notifications are signed with: `whsec_` and base64 of 24 to 64 bytes, comma separated",
        details="All of them sign, so that one can replace another. Required with an address.\n"
        "Make one: echo whsec_$(openssl rand -base64 32)",
        example="whsec_...",
        secret=True,
    )
    webhook_allow_private: bool = setting(
        "WEBHOOK_ALLOW_PRIVATE",
        values.flag,
        "false",
        "for development: also `http`, and addresses of this machine and its network",
    )

    audit_checkpoints: Path | None = optional(
        "AUDIT_CHECKPOINTS",
        values.path,
        "a file to which signed checkpoints of the audit are appended: on another disk, or shipped elsewhere",
        details="With it `run.py audit verify` also finds what was taken off the end.",
        section="Audit (docs/audit.md)",
        unset="in the database alone",
        example="/var/log/rdchat/audit-checkpoints.jsonl",
    )

    @property
    def base_url(self) -> str:
        """Return what every link begins with; there is no slash at its end."""
        return self.public_url or f"http://{authority(self.host, self.port)}"

    @property
    def operations_url(self) -> str:
        """Return where those who run the service look at it: what `/metrics` and `/docs` are below."""
        if self.operations_port is None:
            return f"http://{authority(self.host, self.port)}"
        return f"http://{authority(self.operations_host, self.operations_port)}"

    @property
    def sign_in(self) -> Literal["people", "oidc", "off"]:
        """Return how people sign in to the pages: as one of a fixed set, at their provider, or not at all.

        Tokens are given out to everyone on this machine alone where nothing but this machine's own is kept.
        """
        if self.oidc_authority is not None:
            return "oidc"
        return "people" if self.database_url is None and self.jwt_secret_is_generated else "off"


ROWS: Final[dict[str, SettingRow]] = rows_of(Settings)
