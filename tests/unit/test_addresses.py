"""Settings about the web: origins and the public address, their faults in clear sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import config
from config.addresses import authority, public_host

if TYPE_CHECKING:
    from pathlib import Path

SECRETS = {
    "RDCHAT_JWT_SECRET": "a secret that no one would guess",
    "RDCHAT_ENCRYPTION_KEYS": "a:a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=",
}


def load(tmp_path: Path, **variables: str) -> config.Settings:
    return config.load({"RDCHAT_DATA_DIR": str(tmp_path), **SECRETS, **variables})


def faults(**variables: str) -> list[str]:
    return config.faults_in({**SECRETS, **variables})


def test_origins_are_taken_as_they_are(tmp_path: Path) -> None:
    given = "https://app.example, http://localhost:3000,https://xn--bcher-kva.example:8443,http://[::1]:5173"
    assert sorted(load(tmp_path, RDCHAT_CORS_ORIGINS=given).cors_origins or ()) == [
        "http://[::1]:5173",
        "http://localhost:3000",
        "https://app.example",
        "https://xn--bcher-kva.example:8443",
    ]
    assert load(tmp_path).cors_origins is None
    assert load(tmp_path, RDCHAT_CORS_ORIGINS=" ").cors_origins is None


@pytest.mark.parametrize(
    ("origin", "why"),
    [
        ("*", "would let every page call"),
        ("null", "files and sandboxes"),
        ("https://app.example/", "must not end in a slash"),
        ("https://app.example/chat", "must not hold a path"),
        ("https://app.example?x=1", "must not hold a path"),
        ("https://app.example#x", "must not hold a path"),
        ("https://*.app.example", "must not hold *"),
        ("https://App.example", "must be written in lower case"),
        ("https://app.example:443", "must be written without :443"),
        ("http://app.example:80", "must be written without :80"),
        ("http://app.example:0", "no possible port"),
        ("http://app.example:65536", "no possible port"),
        ("http://app.example:0808", "no possible port"),
        ("app.example", "must begin with https:// or http://"),
        ("ftp://app.example", "must begin with https:// or http://"),
        ("https://", "must begin with https:// or http://"),
        ("https://b\u00fccher.example", "is no origin"),
        ("https://app example", "is no origin"),
        ("https://[::1", "is no origin"),
        ("https://me:geheim@app.example", "must not hold a user"),
        ("https://app.example,", "is an empty entry"),
    ],
)
def test_what_is_no_origin_is_a_fault(origin: str, why: str) -> None:
    (told,) = faults(RDCHAT_CORS_ORIGINS=origin)
    assert told.startswith("RDCHAT_CORS_ORIGINS: ")
    assert why in told
    assert told.endswith(".")
    assert "geheim" not in told


def test_each_faulty_origin_is_told(tmp_path: Path) -> None:
    told = faults(RDCHAT_CORS_ORIGINS="*,https://app.example,https://b.example/", RDCHAT_PORT="http")
    assert [fault.split(":")[0] for fault in told] == [*["RDCHAT_CORS_ORIGINS"] * 2, "RDCHAT_PORT"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ("https://chat.example", "https://chat.example"),
        ("https://chat.example/", "https://chat.example"),
        ("https://chat.example/rdchat/", "https://chat.example/rdchat"),
        ("http://[::1]:8080/a/b", "http://[::1]:8080/a/b"),
        ("http://192.168.1.5:8080", "http://192.168.1.5:8080"),
        ("https://chat.example/konseling%20baru", "https://chat.example/konseling%20baru"),
    ],
)
def test_a_public_address_has_no_slash_at_its_end(tmp_path: Path, given: str, url: str) -> None:
    settings = load(tmp_path, RDCHAT_PUBLIC_URL=given)
    assert settings.public_url == settings.base_url == url


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("chat.example", "begins with https:// or http://"),
        ("ftp://chat.example", "begins with https:// or http://"),
        ("//chat.example", "begins with https:// or http://"),
        ("https://", "begins with https:// or http://"),
        ("https:///rdchat", "begins with https:// or http://"),
        ("javascript:alert(1)", "begins with https:// or http://"),
        ("https://chat.example?x=1", "neither a query"),
        ("https://chat.example/?", "neither a query"),
        ("https://chat.example/#x", "nor a fragment"),
        ("https://me:geheim@chat.example", "neither a user nor a password"),
        ("https://me@chat.example", "neither a user nor a password"),
        ("https://chat.example:99999", "out of range"),
        ("https://chat.example:x", "Port"),
        ("https://[::1", "IPv6"),
        ("https://chat.example/a//b", "empty segments"),
        ("https://chat.example/a/../b", "dots"),
        ("https://chat.example/..", "dots"),
        ("https://chat.example/a b", "ASCII"),
        ("https://chat.example/\u00e4", "ASCII"),
        ('https://chat.example/"><script>', "ASCII"),
        ("https://chat.example\\evil.example", "ASCII"),
        ("https://chat.example\\@evil.example", "neither a user"),
    ],
)
def test_what_is_no_public_address_is_a_fault(url: str, why: str) -> None:
    (told,) = faults(RDCHAT_PUBLIC_URL=url)
    assert told.startswith("RDCHAT_PUBLIC_URL: ")
    assert why in told
    assert told.endswith(".")
    assert "geheim" not in told


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8080"),
        ("0.0.0.0", "http://127.0.0.1:8080"),  # noqa: S104 - nothing is bound
        ("::1", "http://[::1]:8080"),
        ("::", "http://[::1]:8080"),
        ("chat.internal", "http://chat.internal:8080"),
    ],
)
def test_unset_it_comes_from_host_and_port(tmp_path: Path, host: str, url: str) -> None:
    assert load(tmp_path, RDCHAT_HOST=host).base_url == url


def test_an_address_with_colons_stands_in_brackets() -> None:
    assert authority("fe80::1", 1) == "[fe80::1]:1"


def test_only_what_listens_everywhere_is_reached_by_the_public_host() -> None:
    everywhere = ("0.0.0.0", "::")  # noqa: S104 - nothing is bound
    for host in everywhere:
        assert public_host(host, "http://192.168.1.5:8080/chat") == "192.168.1.5"
        assert public_host(host, "http://[fe80::1]:8080") == "[fe80::1]"
        assert public_host(host, "https://chat.example/rdchat") == "chat.example"
        assert public_host(host, None) is None
    assert public_host("127.0.0.1", "https://chat.example") is None
