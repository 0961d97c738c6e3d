"""Settings: every fault at once, secrets from files, and no generated secret beside a real database."""

from __future__ import annotations

import base64
import re
from datetime import timedelta
from pathlib import Path

import pytest

import config
from config.development import development_secrets

KEY = base64.b64encode(b"k" * 32).decode()
SECRET = "s" * 32
REAL = {
    "RDCHAT_DATABASE_URL": "postgresql://db/rdchat",
    "RDCHAT_JWT_SECRET": SECRET,
    "RDCHAT_ENCRYPTION_KEYS": f"a:{KEY},b:{KEY}",
}


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(__import__("os").environ):
        if name.startswith("RDCHAT_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("RDCHAT_DATA_DIR", str(tmp_path / "data"))


def load(monkeypatch: pytest.MonkeyPatch, **variables: str) -> config.Settings:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return config.load()


def faults(monkeypatch: pytest.MonkeyPatch, **variables: str) -> list[str]:
    with pytest.raises(config.SettingsError) as caught:
        load(monkeypatch, **variables)
    return caught.value.faults


def test_nothing_needs_to_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(monkeypatch)
    assert (settings.host, settings.port, settings.ably_local_port) == ("127.0.0.1", 8080, 8081)
    assert settings.initial_message_lead == timedelta(minutes=10)
    assert settings.end_warning_lead == timedelta(minutes=5)
    assert settings.roles == {"api", "worker", "relay"}
    assert settings.ably_is_local
    assert len(settings.jwt_secret or "") >= 32


def test_generated_secrets_stay_the_same_and_are_the_owners_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert load(monkeypatch).jwt_secret == load(monkeypatch).jwt_secret
    path = tmp_path / "data" / "secrets.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert development_secrets(tmp_path / "data") == development_secrets(tmp_path / "data")


def test_all_faults_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    told = faults(
        monkeypatch,
        RDCHAT_PORT="http",
        RDCHAT_ROLES="api,cook",
        RDCHAT_MIN_SESSION="60",
        RDCHAT_MAX_SESSION="30",
        RDCHAT_ABLY_KEY="nonsense",
        RDCHAT_JWT_SECRET="short",
        RDCHAT_ENCRYPTION_KEYS="a:short",
        RDCHAT_REDIS_URL="http://redis",
    )
    named = {re.match(r"RDCHAT_\w+", fault).group() for fault in told}  # type: ignore[union-attr]
    assert named == {
        "RDCHAT_PORT",
        "RDCHAT_ROLES",
        "RDCHAT_MIN_SESSION",
        "RDCHAT_ABLY_KEY",
        "RDCHAT_JWT_SECRET",
        "RDCHAT_ENCRYPTION_KEYS",
        "RDCHAT_REDIS_URL",
    }


def test_faults_of_the_texts_are_told_with_the_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "texts.toml"
    path.write_text("""[default.id]\nauto_end = "{nobody}"\nenable_chat = "{"\n""")
    told = faults(monkeypatch, RDCHAT_PORT="http", RDCHAT_TEXTS=str(path))
    assert sorted(fault.split(":")[0] for fault in told) == ["RDCHAT_PORT", "RDCHAT_TEXTS", "RDCHAT_TEXTS"]


def test_beside_a_real_database_generated_secrets_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    told = faults(monkeypatch, RDCHAT_DATABASE_URL=REAL["RDCHAT_DATABASE_URL"])
    assert [fault.split(":")[0].split(" ")[0] for fault in told] == [
        "RDCHAT_JWT_SECRET",
        "RDCHAT_ENCRYPTION_KEYS",
    ]


def test_with_secrets_a_real_database_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(monkeypatch, **REAL)
    assert settings.database_url == REAL["RDCHAT_DATABASE_URL"]
    assert list(settings.encryption_keys) == ["a", "b"]


def test_a_secret_can_come_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "jwt"
    path.write_text(SECRET + "\n")
    assert load(monkeypatch, RDCHAT_JWT_SECRET_FILE=str(path)).jwt_secret == SECRET


def test_a_secret_file_that_cannot_be_read_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    assert faults(monkeypatch, RDCHAT_JWT_SECRET_FILE="/nowhere") == [
        "RDCHAT_JWT_SECRET_FILE: /nowhere cannot be read."
    ]


@pytest.mark.parametrize(
    "variables",
    [
        {"RDCHAT_JWT_JWKS_URL": "https://id/keys"},
        {"RDCHAT_JWT_ALGORITHMS": "RS256"},
        {"RDCHAT_JWT_ALGORITHMS": "RS256,HS256", "RDCHAT_JWT_JWKS_URL": "https://id/keys"},
        {"RDCHAT_JWT_ALGORITHMS": "none"},
        {"RDCHAT_JWT_SECRET": SECRET, "RDCHAT_JWT_JWKS_URL": "https://id/keys"},
    ],
)
def test_keys_and_algorithms_must_go_together(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    assert faults(monkeypatch, **variables)


def test_the_example_names_every_variable_with_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path(config.__file__).parent
    read = set(re.findall(r'env\.\w+\(\s*"(\w+)"', (root / "settings.py").read_text()))
    example = (root / "rdchat.env.example").read_text()
    shown = set(re.findall(r"^#?RDCHAT_(\w+)=", example, re.MULTILINE))
    assert shown == read
    defaults = dict(re.findall(r"^(RDCHAT_\w+)=(\S+)$", example, re.MULTILINE))
    del defaults["RDCHAT_DATA_DIR"]
    plain = load(monkeypatch)
    secrets_file = plain.data_dir
    assert load(monkeypatch, **defaults) == plain
    assert secrets_file == plain.data_dir


HOOK = "https://hooks.example/rdchat"
WHSEC = f"whsec_{base64.b64encode(b'w' * 24).decode()}"


def test_webhooks_are_off_unless_they_are_set(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(monkeypatch)
    assert (settings.webhook_urls, settings.webhook_secrets) == ((), ())
    assert settings.webhook_allow_private is False


def test_webhooks_go_to_several_addresses_and_are_signed_by_several_secrets(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "webhooks"
    path.write_text(f"{WHSEC}, whsec_{base64.b64encode(b'v' * 64).decode()}\n")
    settings = load(
        monkeypatch,
        RDCHAT_WEBHOOK_URL=f"{HOOK}, https://other.example:8443/?a=b,{HOOK}",
        RDCHAT_WEBHOOK_SECRETS_FILE=str(path),
    )
    assert settings.webhook_urls == (HOOK, "https://other.example:8443/?a=b")
    assert settings.webhook_secrets == (b"w" * 24, b"v" * 64)


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example/",
        "hooks.example",
        "ftp://hooks.example/",
        "https://",
        "https:///path",
        "https://user:secret@hooks.example/",
        "https://user@hooks.example/",
        "https://hooks.example/#part",
        "https://hooks .example/",
        "https://hooks.example:99999/",
        "https://hooks.example:x/",
        "https://[::1/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://169.254.169.254/",
        "https://localhost/",
        f"{HOOK},",
    ],
)
def test_an_address_for_webhooks_is_checked(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    told = faults(monkeypatch, RDCHAT_WEBHOOK_URL=url, RDCHAT_WEBHOOK_SECRETS=WHSEC)
    assert [fault.partition(":")[0] for fault in told] == ["RDCHAT_WEBHOOK_URL"]
    assert "secret" not in told[0]


def test_for_development_private_addresses_may_be_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(
        monkeypatch,
        RDCHAT_WEBHOOK_URL="http://127.0.0.1:9000/hook",
        RDCHAT_WEBHOOK_SECRETS=WHSEC,
        RDCHAT_WEBHOOK_ALLOW_PRIVATE="true",
    )
    assert settings.webhook_urls == ("http://127.0.0.1:9000/hook",)
    assert settings.webhook_allow_private


@pytest.mark.parametrize(
    "secrets",
    [
        "",
        "whsec_",
        base64.b64encode(b"w" * 24).decode(),
        f"whsec_{base64.b64encode(b'w' * 23).decode()}",
        f"whsec_{base64.b64encode(b'w' * 65).decode()}",
        f"{WHSEC},whsec_short",
        f"{WHSEC},",
        "whsec_not base64 at all, is it? aaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "whsec_ä",
    ],
)
def test_secrets_of_webhooks_are_checked_and_never_shown(
    monkeypatch: pytest.MonkeyPatch, secrets: str
) -> None:
    told = faults(monkeypatch, RDCHAT_WEBHOOK_URL=HOOK, RDCHAT_WEBHOOK_SECRETS=secrets)
    assert [fault.partition(":")[0] for fault in told] == ["RDCHAT_WEBHOOK_SECRETS"]
    assert not any(part and part in fault for fault in told for part in secrets.split(",") if len(part) > 6)


def test_faults_in_webhooks_are_told_with_all_others(monkeypatch: pytest.MonkeyPatch) -> None:
    told = faults(
        monkeypatch,
        RDCHAT_PORT="http",
        RDCHAT_WEBHOOK_URL="http://a.example/,https://10.0.0.1/",
        RDCHAT_WEBHOOK_ALLOW_PRIVATE="perhaps",
    )
    assert [fault.partition(":")[0] for fault in told] == [
        "RDCHAT_PORT",
        "RDCHAT_WEBHOOK_ALLOW_PRIVATE",
        "RDCHAT_WEBHOOK_URL",
        "RDCHAT_WEBHOOK_URL",
        "RDCHAT_WEBHOOK_SECRETS",
    ]


def test_where_files_lie(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = load(monkeypatch)
    assert (settings.max_attachment, settings.storage_url) == (10 * 1024 * 1024, None)
    (tmp_path / "secret").write_text("very secret\n", encoding="utf-8")
    settings = load(
        monkeypatch,
        RDCHAT_STORAGE_URL="s3://rdchat-files/some/prefix",
        RDCHAT_S3_ENDPOINT="https://s3.example",
        RDCHAT_S3_ACCESS_KEY_ID="key",
        RDCHAT_S3_SECRET_ACCESS_KEY_FILE=str(tmp_path / "secret"),
    )
    assert settings.storage_url == "s3://rdchat-files/some/prefix"
    assert (settings.s3_access_key_id, settings.s3_secret_access_key) == ("key", "very secret")
    monkeypatch.delenv("RDCHAT_S3_SECRET_ACCESS_KEY_FILE")
    found = faults(
        monkeypatch, RDCHAT_STORAGE_URL="file:///tmp", RDCHAT_S3_ENDPOINT="s3", RDCHAT_MAX_ATTACHMENT="0"
    )
    assert {fault.partition(":")[0] for fault in found} == {
        "RDCHAT_STORAGE_URL",
        "RDCHAT_S3_ENDPOINT",
        "RDCHAT_MAX_ATTACHMENT",
        "RDCHAT_S3_ACCESS_KEY_ID, RDCHAT_S3_SECRET_ACCESS_KEY",
    }
