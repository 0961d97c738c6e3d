"""Settings: every fault at once, secrets from files, and no generated secret beside a real database."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import fields
from datetime import timedelta
from pathlib import Path

import pytest

import config
from config import rendering
from config.checks import REPLACED
from config.development import development_secrets
from config.settings import ROWS

KEY, OTHER_KEY = (base64.b64encode(hashlib.sha256(name).digest()).decode() for name in (b"a", b"b"))
SECRET = "q7Zt0Xb4Lw9Rk2Mv5Ny8Pc1Jd6Hf3GsA"  # noqa: S105 - of tests
ROOT = Path(config.__file__).parents[1]
EXAMPLE = ROOT / "config" / "rdchat.env.example"
REAL = {
    "RDCHAT_DATABASE_URL": "postgresql://db.example/rdchat?sslmode=verify-full",
    "RDCHAT_ABLY_KEY": "app.key:p3Kd8sWq1Zx6Vb0N",
    "RDCHAT_JWT_SECRET": SECRET,
    "RDCHAT_ENCRYPTION_KEYS": f"a:{KEY},b:{OTHER_KEY}",
}


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(__import__("os").environ):
        if name.startswith("RDCHAT_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("RDCHAT_DATA_DIR", str(tmp_path / "data"))


KEY_SET = {"RDCHAT_JWT_JWKS_URL": "https://id.example/keys", "RDCHAT_JWT_ALGORITHMS": "RS256"}
PROVIDER = {"RDCHAT_OIDC_AUTHORITY": "https://id.example", "RDCHAT_OIDC_CLIENT_ID": "web"}


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


def test_faults_of_organisations_are_told_with_the_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "organizations.toml"
    path.write_text("""[default.texts.id]\nauto_end = "{nobody}"\nenable_chat = "{"\n""")
    told = faults(monkeypatch, RDCHAT_PORT="http", RDCHAT_ORGANIZATIONS=str(path))
    assert sorted(fault.split(":")[0] for fault in told) == [
        "RDCHAT_ORGANIZATIONS",
        "RDCHAT_ORGANIZATIONS",
        "RDCHAT_PORT",
    ]


def test_beside_a_real_database_generated_secrets_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    told = faults(monkeypatch, RDCHAT_DATABASE_URL=REAL["RDCHAT_DATABASE_URL"])
    assert [fault.split(":")[0].split(" ")[0] for fault in told] == [
        "RDCHAT_JWT_SECRET",
        "RDCHAT_ENCRYPTION_KEYS",
        "RDCHAT_ABLY_KEY",
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
    read = {row.name for row in ROWS.values()}
    example = EXAMPLE.read_text()
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
    assert (settings.max_attachment, settings.storage_url) == (64 * 1024 * 1024, None)
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


def assignments(text: str) -> dict[str, str]:
    return dict(re.findall(r"^#?(RDCHAT_\w+)=(.*)$", text, re.MULTILINE))


def test_the_example_is_current() -> None:
    assert EXAMPLE.read_text() == rendering.example(), "make docs renews it"


def test_the_rows_in_the_readme_are_current() -> None:
    page = (ROOT / "README.md").read_text()
    assert page == rendering.with_rows(page), "make docs renews them"
    for row in ROWS.values():
        assert f"\n| `{row.variable}` | " in page


def test_a_page_without_markers_is_left_alone() -> None:
    with pytest.raises(ValueError, match="settings"):
        rendering.with_rows("# A page\n")


@pytest.mark.parametrize("keys", ["secret", "key set"])
def test_the_example_can_be_loaded_with_every_line_in_use(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, keys: str
) -> None:
    lines = assignments(EXAMPLE.read_text())
    assert list(lines) == [row.variable for row in ROWS.values()]
    # Nothing secret stands in the example: these do not work as they are.
    for name, real in (
        ("JWT_SECRET", SECRET),
        ("ENCRYPTION_KEYS", f"main:{KEY}"),
        ("WEBHOOK_SECRETS", f"whsec_{OTHER_KEY}"),
        ("ABLY_KEY", REAL["RDCHAT_ABLY_KEY"]),
    ):
        assert lines[f"RDCHAT_{name}"].endswith("...")
        lines[f"RDCHAT_{name}"] = real
    if keys == "secret":
        for name in ("JWT_JWKS_URL", "OIDC_AUTHORITY", "OIDC_CLIENT_ID"):
            del lines[f"RDCHAT_{name}"]
    else:
        del lines["RDCHAT_JWT_SECRET"]
        lines["RDCHAT_JWT_ALGORITHMS"] = "RS256"
    monkeypatch.chdir(ROOT)
    lines["RDCHAT_DATA_DIR"] = str(tmp_path / "data")
    settings = load(monkeypatch, **lines)
    assert (settings.jwt_secret == SECRET, settings.jwt_jwks_url is None) == (keys == "secret",) * 2
    assert settings.webhook_urls == ("https://hooks.example/rdchat",)
    assert not (tmp_path / "data").exists(), "nothing had to be generated"


def test_the_defaults_in_the_example_are_those_of_the_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = {
        name: value
        for name, value in assignments(EXAMPLE.read_text()).items()
        if f"\n{name}=" in EXAMPLE.read_text()
    }
    assert set(shown) == {row.variable for row in ROWS.values() if row.default}
    loaded = load(monkeypatch, **shown)
    made = config.Settings(
        ably_key=loaded.ably_key,
        ably_is_local=True,
        jwt_secret=loaded.jwt_secret,
        jwt_secret_is_generated=True,
        encryption_keys=loaded.encryption_keys,
    )
    assert loaded == made


def test_every_field_but_two_is_a_setting() -> None:
    assert {one.name for one in fields(config.Settings)} - set(ROWS) == {
        "ably_is_local",
        "jwt_secret_is_generated",
    }
    assert len({row.variable for row in ROWS.values()}) == len(ROWS)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("MIN_SESION", "MIN_SESSION"),
        ("MINSESSION", "MIN_SESSION"),
        ("DATABASE", "DATABASE_URL"),
        ("JWT_SECRT_FILE", "JWT_SECRET_FILE"),
        ("JWKS_URL", "JWT_JWKS_URL"),
        ("LOGFORMAT", "LOG_FORMAT"),
        # Only secrets can come from files.
        ("PORT_FILE", "PORT"),
    ],
)
def test_a_name_that_is_no_setting_is_a_fault_with_the_nearest_one(
    monkeypatch: pytest.MonkeyPatch, name: str, nearest: str
) -> None:
    told = faults(monkeypatch, **{f"RDCHAT_{name}": "60"})
    assert told == [f"RDCHAT_{name} is not a setting. Did you mean RDCHAT_{nearest}?"]


def test_a_setting_that_was_replaced_is_a_fault_with_the_one_that_replaces_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told = faults(monkeypatch, RDCHAT_TEXTS="texts.toml")
    assert told == ["RDCHAT_TEXTS is not a setting any more. RDCHAT_ORGANIZATIONS replaces it."]


def test_what_replaces_a_setting_is_one() -> None:
    variables = {row.variable for row in ROWS.values()}
    assert set(REPLACED.values()) <= variables
    assert not set(REPLACED) & variables


def test_unknown_names_are_told_with_all_other_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    told = faults(
        monkeypatch,
        RDCHAT_ZZZ="1",
        RDCHAT_PRT="1",
        RDCHAT_PORT="http",
        RDCHAT_JWT_SECRET_FILE="/nowhere",
        RDCHAT_MIN_SESSION="20000",
    )
    assert [re.split("[: ]", fault)[0] for fault in told] == [
        "RDCHAT_PRT",
        "RDCHAT_ZZZ",
        "RDCHAT_JWT_SECRET_FILE",
        "RDCHAT_PORT",
        "RDCHAT_MIN_SESSION",
    ]
    assert "Did you mean RDCHAT_" in told[1]


@pytest.mark.parametrize("nothing", ["", " "])
def test_what_is_empty_counts_as_unset(monkeypatch: pytest.MonkeyPatch, nothing: str) -> None:
    plain = load(monkeypatch)
    names = {name for row in ROWS.values() for name in row.variables} - {"RDCHAT_DATA_DIR"}
    assert load(monkeypatch, **dict.fromkeys([*names, "RDCHAT_UNKNOWN"], nothing)) == plain
    assert plain.ably_is_local


def test_rules_for_clients_are_off_but_for_ten_counsellings_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = load(monkeypatch)
    assert (plain.booking_notice, plain.cancel_deadline) == (timedelta(0), timedelta(0))
    assert plain.max_pending_per_client == 10
    told = faults(
        monkeypatch,
        RDCHAT_MAX_PENDING_PER_CLIENT="0",
        RDCHAT_BOOKING_NOTICE="-1",
        RDCHAT_CANCEL_DEADLINE="2592001",
    )
    assert {fault.partition(":")[0] for fault in told} == {
        "RDCHAT_MAX_PENDING_PER_CLIENT",
        "RDCHAT_BOOKING_NOTICE",
        "RDCHAT_CANCEL_DEADLINE",
    }


def test_a_notice_as_long_as_the_horizon_would_forbid_every_booking(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = {"RDCHAT_MAX_PENDING_PER_CLIENT": "1", "RDCHAT_CANCEL_DEADLINE": "60"}
    told = faults(monkeypatch, **changed, RDCHAT_BOOKING_HORIZON="2", RDCHAT_BOOKING_NOTICE="172800")
    assert told == ["RDCHAT_BOOKING_NOTICE: must be shorter than RDCHAT_BOOKING_HORIZON."]
    assert load(monkeypatch, RDCHAT_BOOKING_NOTICE="172799").booking_notice == timedelta(seconds=172_799)


def test_an_empty_name_of_a_file_leaves_the_secret_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(monkeypatch, RDCHAT_JWT_SECRET=SECRET, RDCHAT_JWT_SECRET_FILE="")
    assert settings.jwt_secret == SECRET


def test_an_empty_secret_is_required_as_if_it_were_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    told = faults(monkeypatch, **REAL | {"RDCHAT_ENCRYPTION_KEYS": ""})
    assert [fault.partition(":")[0] for fault in told] == ["RDCHAT_ENCRYPTION_KEYS"]


@pytest.mark.parametrize(
    ("content", "fault"), [(b"\n", "is empty."), (b"\xff" * 32, "cannot be read."), (None, "cannot be read.")]
)
def test_a_file_without_a_secret_is_a_fault_and_nothing_is_generated(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None, fault: str
) -> None:
    path = tmp_path / "keys"
    path.mkdir() if content is None else path.write_bytes(content)
    path.chmod(0o600)
    own = {name: value for name, value in REAL.items() if name in {"RDCHAT_DATABASE_URL", "RDCHAT_ABLY_KEY"}}
    told = faults(monkeypatch, RDCHAT_ENCRYPTION_KEYS_FILE=str(path), **own)
    assert told[0] == f"RDCHAT_ENCRYPTION_KEYS_FILE: {path} {fault}"
    assert [one.split(" ")[0] for one in told[1:]] == ["RDCHAT_JWT_SECRET"]
    assert not (tmp_path / "data").exists()


def test_what_is_set_but_wrong_is_not_told_to_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert faults(monkeypatch, **REAL | {"RDCHAT_JWT_SECRET": "short"}) == [
        "RDCHAT_JWT_SECRET: Must be at least 32 bytes long."
    ]


@pytest.mark.parametrize(
    "secret",
    [
        "x" * 32,
        "ab" * 40,
        "0123456789abcdef" * 2,
        "0123456789abcdef" * 2 + "01",
        "secret" * 6,
        "1234567" * 5,
        "aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbcccccccc",
        "\u00e9" * 20,
    ],
)
def test_a_secret_of_repeated_bytes_is_a_short_one(monkeypatch: pytest.MonkeyPatch, secret: str) -> None:
    assert faults(monkeypatch, RDCHAT_JWT_SECRET=secret) == [
        "RDCHAT_JWT_SECRET: Must not be a few bytes that are repeated: that is as good as a short one."
    ]


@pytest.mark.parametrize(
    "secret", ["d41d8cd98f00b204e9800998ecf8427e", "0123456789abcdefg" * 2, "korek api di atas meja kayu itu"]
)
def test_a_secret_that_is_not_repeated_is_taken(monkeypatch: pytest.MonkeyPatch, secret: str) -> None:
    assert load(monkeypatch, RDCHAT_JWT_SECRET=f"{secret}!").jwt_secret == f"{secret}!"


@pytest.mark.parametrize("width", [None, 40, 80, 132])
def test_the_list_shows_every_value_but_no_secret(width: int | None) -> None:
    environment = {row.variable: "hidden" for row in ROWS.values() if row.secret}
    del environment["RDCHAT_JWT_SECRET"]
    environment |= {"RDCHAT_JWT_SECRET_FILE": "/hidden", "RDCHAT_REDIS_URL": "", "RDCHAT_PORT": "9999"}
    head, *lines = rendering.listing(environment, width).splitlines()
    assert not any("hidden" in line for line in lines)
    cells = [line.split() for line in lines if line.startswith("RDCHAT_")]
    values = {name: value for name, value, *_ in cells}
    assert list(values) == [row.variable for row in ROWS.values()]
    secret = {row.variable: values[row.variable] for row in ROWS.values() if row.secret}
    assert secret == dict.fromkeys(secret, "set") | {"RDCHAT_REDIS_URL": "unset"}
    assert (values["RDCHAT_PORT"], values["RDCHAT_HOST"], values["RDCHAT_ORGANIZATIONS"]) == (
        "9999",
        "127.0.0.1",
        "unset",
    )
    assert next(default for name, _, default, *_ in cells if name == "RDCHAT_PORT") == "8080"
    # In columns; without a width, only what is too long stands out.
    column = head.index("meaning")
    crooked = [line for line in lines if line[column - 2 : column].strip()]
    assert crooked == ([] if width else [line for line in lines if "RATE_LIMITS" in line])
    assert width is None or max(map(len, lines)) <= max(width, 80)


def test_secrets_do_not_stand_in_what_is_printed_of_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    signing = hashlib.sha256(b"w").digest()
    whsec = f"whsec_{base64.b64encode(signing).decode()}"
    settings = load(monkeypatch, **REAL, RDCHAT_WEBHOOK_URL=HOOK, RDCHAT_WEBHOOK_SECRETS=whsec)
    assert settings.webhook_secrets == (signing,)
    hidden = (SECRET, str(base64.b64decode(KEY)), str(signing), "p3Kd8", "postgresql", "hooks")
    assert not any(secret in repr(settings) for secret in hidden)
    assert "port=8080" in repr(settings)


@pytest.mark.parametrize(
    ("given", "sign_in"),
    [
        ({}, "people"),
        ({"RDCHAT_REDIS_URL": "redis://redis.example"}, "people"),
        ({"RDCHAT_JWT_SECRET": SECRET}, "off"),
        ({**KEY_SET}, "off"),
        ({**KEY_SET, **PROVIDER}, "oidc"),
        (REAL, "off"),
        ({**REAL, "RDCHAT_JWT_SECRET": "", **KEY_SET, **PROVIDER}, "oidc"),
    ],
)
def test_how_one_signs_in_to_the_pages(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given: dict[str, str], sign_in: str
) -> None:
    assert load(monkeypatch, RDCHAT_DATA_DIR=str(tmp_path), **given).sign_in == sign_in


@pytest.mark.parametrize(
    "given",
    [
        {**PROVIDER},
        {**PROVIDER, "RDCHAT_JWT_SECRET": SECRET},
        {**KEY_SET, "RDCHAT_OIDC_CLIENT_ID": "web"},
        {**KEY_SET, "RDCHAT_OIDC_AUTHORITY": "https://id.example"},
        {**KEY_SET, **PROVIDER, "RDCHAT_OIDC_AUTHORITY": "https://id.example/?x"},
        {**KEY_SET, **PROVIDER, "RDCHAT_OIDC_AUTHORITY": "id.example"},
    ],
)
def test_an_identity_provider_is_named_as_a_whole(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str]
) -> None:
    with pytest.raises(config.SettingsError, match="RDCHAT_OIDC_"):
        load(monkeypatch, **given)


def test_what_is_said_is_encrypted_for_clients_that_have_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not load(monkeypatch).ably_cipher
    assert load(monkeypatch, RDCHAT_ABLY_CIPHER="yes").ably_cipher
    told = faults(monkeypatch, RDCHAT_ABLY_CIPHER="yes", RDCHAT_DIALECT="ruangdiri")
    assert told == ["RDCHAT_ABLY_CIPHER: the app that RDCHAT_DIALECT is for has no key; set one of them."]
