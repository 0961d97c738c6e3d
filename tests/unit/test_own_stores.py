"""With a database of one's own: all that would be readable, guessable or unverified is told at once."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import ssl
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from redis.asyncio import Redis

import config
from config.secrecy import open_to_all, weakness

if TYPE_CHECKING:
    from collections.abc import Iterator

TLS = "?sslmode=verify-full&sslrootcert=/etc/ssl/ca.pem"
KEY = base64.b64encode(hashlib.sha256(b"key").digest()).decode()
REAL = {
    "RDCHAT_DATABASE_URL": f"postgresql://rdchat:x@db.example/rdchat{TLS}",
    "RDCHAT_REDIS_URL": "rediss://redis.example:6379/0",
    "RDCHAT_ABLY_KEY": "app.key:p3Kd8sWq1Zx6Vb0N",
    "RDCHAT_JWT_SECRET": "q7Zt0Xb4Lw9Rk2Mv5Ny8Pc1Jd6Hf3GsA",
    "RDCHAT_ENCRYPTION_KEYS": f"main:{KEY}",
}
KEY_SET = {
    "RDCHAT_JWT_SECRET": "",
    "RDCHAT_JWT_JWKS_URL": "https://id.example/keys",
    "RDCHAT_JWT_ALGORITHMS": "RS256",
}


def told(**changes: str) -> list[str]:
    return config.faults_in(REAL | changes)


def test_what_is_verified_and_random_is_taken() -> None:
    assert told() == []
    assert told(**KEY_SET) == []
    assert told(RDCHAT_MIGRATE_DATABASE_URL=f"postgres://owner@db.example/rdchat{TLS}") == []


@pytest.fixture
def open_place() -> Iterator[Path]:
    """A directory that every account of the machine can enter, as pytest's own is not."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)


def test_everything_is_told_at_once(open_place: Path) -> None:
    key = open_place / "keys"
    key.write_text(f"main:{base64.b64encode(b'k' * 32).decode()}")
    key.chmod(0o644)
    faults = told(
        RDCHAT_DATABASE_URL="postgresql://db.example/rdchat",
        RDCHAT_MIGRATE_DATABASE_URL="postgresql://db.example/rdchat?sslmode=require",
        RDCHAT_REDIS_URL="redis://redis.example",
        RDCHAT_ABLY_KEY="",
        RDCHAT_JWT_SECRET="change-me-change-me-change-me-change-me",
        RDCHAT_ENCRYPTION_KEYS="",
        RDCHAT_ENCRYPTION_KEYS_FILE=str(key),
        RDCHAT_WEBHOOK_SECRETS=f"whsec_{base64.b64encode(bytes(range(32))).decode()}",
        RDCHAT_PORT="x",
    )
    assert sorted({re.match(r"RDCHAT_\w+", fault).group() for fault in faults}) == [  # type: ignore[union-attr]
        "RDCHAT_ABLY_KEY",
        "RDCHAT_DATABASE_URL",
        "RDCHAT_ENCRYPTION_KEYS",
        "RDCHAT_ENCRYPTION_KEYS_FILE",
        "RDCHAT_JWT_SECRET",
        "RDCHAT_MIGRATE_DATABASE_URL",
        "RDCHAT_PORT",
        "RDCHAT_REDIS_URL",
        "RDCHAT_WEBHOOK_SECRETS",
    ]
    said = "\n".join(faults)
    assert "sslmode is prefer, and must be verify-full" in said
    assert "sslmode is require, and must be verify-full" in said
    assert "RDCHAT_ALLOW_INSECURE=postgres" in said
    assert not any(secret in said for secret in ("change-me", "kkkk", "a2tr"))
    assert "chmod 0640" in said


def test_the_embedded_default_asks_for_none_of_it() -> None:
    weak = {
        "RDCHAT_JWT_SECRET": "a secret that no one would guess",
        "RDCHAT_REDIS_URL": "redis://redis.example",
    }
    assert config.faults_in(weak) == []


@pytest.mark.parametrize(
    ("url", "fine"),
    [
        ("postgresql://db.example/x", False),
        ("postgresql://db.example/x?sslmode=disable", False),
        ("postgresql://db.example/x?sslmode=verify-ca", False),
        ("postgresql://db.example/x?sslmode=verify-full", True),
        ("postgresql://db.example/x?sslmode=verify_full", True),
        ("postgresql://db/x", False),
        ("postgresql://10.0.0.5:5432/x", False),
        ("postgresql://127.0.0.1:5432/x", True),
        ("postgresql://127.9.9.9/x", True),
        ("postgresql://[::1]:5432/x", True),
        ("postgresql://[::1]/x", True),
        ("postgresql://[2001:db8::1]:5432/x", False),
        ("postgresql://localhost/x", True),
        ("postgresql://user:p%40ss@localhost/x", True),
        ("postgresql://localhost.example/x", False),
        ("postgresql://localhost,db.example/x", False),
        ("postgresql://127.0.0.1:1,127.0.0.2:2/x", True),
        ("postgresql:///x", True),
        ("postgresql://rdchat@/x?host=/run/postgresql&port=5432", True),
        ("postgresql://rdchat@/x?host=%2Frun%2Fpostgresql", True),
        ("postgresql://%2Frun%2Fpostgresql/x", True),
        ("postgresql://rdchat@/x?host=db.example", False),
        # What stands before the path counts.
        ("postgresql://db.example/x?host=/run/postgresql", False),
    ],
)
def test_postgresql_is_verified_unless_it_is_here(url: str, *, fine: bool) -> None:
    assert (told(RDCHAT_DATABASE_URL=url) == []) is fine
    assert told(RDCHAT_DATABASE_URL=url, RDCHAT_ALLOW_INSECURE="postgres") == []
    assert (told(RDCHAT_MIGRATE_DATABASE_URL=url) == []) is fine


def test_where_the_address_is_the_environments_it_is_verified_as_well() -> None:
    assert told(RDCHAT_DATABASE_URL="postgresql:///x", PGHOST="/run/postgresql") == []
    assert len(told(RDCHAT_DATABASE_URL="postgresql:///x", PGHOST="db.example")) == 1


@pytest.mark.parametrize(
    ("url", "fine"),
    [
        ("redis://redis.example", False),
        ("redis://:word@10.1.2.3:6379/0", False),
        ("redis://127.0.0.1:6379/0", True),
        ("redis://localhost", True),
        ("redis://[::1]:6379", True),
        ("unix:///run/redis.sock", True),
        ("rediss://redis.example", True),
        ("rediss://redis.example?ssl_cert_reqs=required&ssl_check_hostname=true", True),
        ("rediss://redis.example?ssl_cert_reqs=none", False),
        ("rediss://redis.example?ssl_cert_reqs=optional", False),
        ("rediss://redis.example?ssl_check_hostname=False", False),
    ],
)
def test_redis_is_verified_unless_it_is_here(url: str, *, fine: bool) -> None:
    assert (told(RDCHAT_REDIS_URL=url) == []) is fine
    assert told(RDCHAT_REDIS_URL=url, RDCHAT_ALLOW_INSECURE="redis,jwks") == []


@pytest.mark.parametrize(
    ("url", "fine"),
    [
        ("http://id.example/keys", False),
        ("http://id:8080/keys", False),
        ("https://id.example/keys", True),
        ("http://127.0.0.1:8080/keys", True),
        ("http://[::1]/keys", True),
        ("http://localhost/keys", True),
    ],
)
def test_a_key_set_is_verified_unless_it_is_here(url: str, *, fine: bool) -> None:
    changes = KEY_SET | {"RDCHAT_JWT_JWKS_URL": url}
    assert (told(**changes) == []) is fine
    assert told(**changes, RDCHAT_ALLOW_INSECURE="jwks") == []


def test_what_may_be_insecure_is_named() -> None:
    assert len(told(RDCHAT_ALLOW_INSECURE="all")) == 1
    assert len(told(RDCHAT_ALLOW_INSECURE="redis", RDCHAT_DATABASE_URL="postgresql://db.example/x")) == 1


@pytest.mark.parametrize(
    "named",
    [
        {"RDCHAT_ABLY_KEY": REAL["RDCHAT_ABLY_KEY"]},
        {"RDCHAT_ABLY_LOCAL_PORT": "8081"},
        {"RDCHAT_ABLY_ENDPOINT": "127.0.0.1:8081"},
    ],
)
def test_where_events_go_is_said(named: dict[str, str]) -> None:
    [fault] = told(RDCHAT_ABLY_KEY="")
    assert fault.startswith("RDCHAT_ABLY_KEY: required with RDCHAT_DATABASE_URL")
    assert config.faults_in({**REAL, "RDCHAT_ABLY_KEY": "", **named}) == []


def test_the_owners_address_belongs_to_the_services() -> None:
    [fault] = config.faults_in({"RDCHAT_MIGRATE_DATABASE_URL": "postgresql://localhost/x"})
    assert fault.startswith("RDCHAT_MIGRATE_DATABASE_URL: belongs to RDCHAT_DATABASE_URL")


@pytest.mark.parametrize(
    "secret",
    [
        b"short",
        b"k" * 32,
        b"ab" * 16,
        b"0123456789abcdef" * 2,
        bytes(range(32)),
        bytes(range(32, 0, -1)),
        bytes(32),
        b"abcdefghijklmnopqrstuvwxyz012345",
        b"00000000000000000000000000000001",
        b"11112222333344441111222233334444",
        b"your-256-bit-secret-of-jwt-io-xyz",
        b"My-Super-Secret-Key-For-Production",
        b"change_me_before_going_live_please",
        b"PASSWORD-of-the-production-system!",
        base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLLsw"),
    ],
)
def test_what_could_be_guessed_is_weak(secret: bytes) -> None:
    assert weakness(secret)
    text = secret.decode("latin-1")
    if secret.isascii() and text.isprintable() and len(secret) >= 32:
        assert len(told(RDCHAT_JWT_SECRET=text)) == 1
    if len(secret) == 32:
        keys = f"main:{base64.b64encode(secret).decode()}"
        [fault] = told(RDCHAT_ENCRYPTION_KEYS=f"old:{KEY},{keys}")
        assert fault.startswith("RDCHAT_ENCRYPTION_KEYS: the key main ")


def test_what_is_random_is_strong_in_any_form() -> None:
    for _ in range(2_000):
        raw = secrets.token_bytes(32)
        forms = (raw, raw[:24], raw.hex().encode(), raw[:16].hex().encode(), base64.b64encode(raw))
        assert [weakness(form) for form in forms] == [None] * len(forms)
    # Keys of Ably: 16 characters of old, 43 today.
    assert weakness(secrets.token_urlsafe(12).encode()) is None


def test_a_file_that_everyone_can_reach_is_refused(open_place: Path) -> None:
    path = open_place / "closed" / "secret"
    path.parent.mkdir()
    path.write_text(REAL["RDCHAT_JWT_SECRET"])
    for mode, word in ((0o600, None), (0o640, None), (0o440, None), (0o644, "read"), (0o602, "written")):
        path.chmod(mode)
        found = open_to_all(path)
        assert (found is None) == (word is None)
        assert found is None or f"can be {word} by every account" in found
        changes = {"RDCHAT_JWT_SECRET": "", "RDCHAT_JWT_SECRET_FILE": str(path)}
        assert [fault.partition(":")[0] for fault in told(**changes)] == (
            ["RDCHAT_JWT_SECRET_FILE"] if found else []
        )
    # In a directory that is closed, it is out of reach; a link to it leads there.
    path.chmod(0o644)
    path.parent.chmod(0o700)
    assert open_to_all(path) is None
    link = open_place / "link"
    link.symlink_to(path)
    assert open_to_all(link) is None


def test_redis_verifies_certificate_and_name_unless_it_is_told_not_to() -> None:
    context = Redis.from_url("rediss://redis.example").connection_pool.make_connection().ssl_context
    assert (context.cert_reqs, context.check_hostname) == (ssl.CERT_REQUIRED, True)
