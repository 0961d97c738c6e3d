"""What `serve` says when it serves: where it is, and how clients reach it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from handlers.server.serving import welcome
from tests.support.service import service_settings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("127.0.0.1", "http://127.0.0.1:8080"),
        ("0.0.0.0", "http://127.0.0.1:8080"),  # noqa: S104 - nothing is bound
        ("::1", "http://[::1]:8080"),
        ("::", "http://[::1]:8080"),
    ],
)
def test_where_it_is_can_be_opened(tmp_path: Path, host: str, here: str) -> None:
    said = welcome(service_settings(tmp_path, host=host, port=8080), ably="[::1]:8081", embedded=True)
    assert f"rdchat is serving on {here}\n" in said
    for path in ("/", "/docs", "/readyz"):
        assert f" {here}{path}\n" in said
    assert "local Ably endpoint at [::1]:8081" in said
    assert "Reached at" not in said
    assert "RDCHAT_PUBLIC_URL" not in said


def test_links_begin_with_the_public_address(tmp_path: Path) -> None:
    settings = service_settings(tmp_path, port=8080, public_url="https://chat.example/rdchat")
    said = welcome(settings, ably=None, embedded=False)
    assert "serving on http://127.0.0.1:8080\n" in said
    for path in ("", "/", "/readyz"):
        assert f" https://chat.example/rdchat{path}\n" in said
    # Those who run the service look at that on its own machine, or on their port.
    assert " http://127.0.0.1:8080/docs\n" in said
    said = welcome(replace(settings, operations_port=9090), ably=None, embedded=False)
    assert " http://127.0.0.1:9090/docs\n" in said
    assert "RDCHAT_PUBLIC_URL" not in said


def test_beside_a_real_database_a_missing_public_address_is_told(tmp_path: Path) -> None:
    said = welcome(service_settings(tmp_path, port=8080), ably=None, embedded=False)
    assert "set RDCHAT_PUBLIC_URL" in said


def test_the_pages_come_first_where_one_can_sign_in(tmp_path: Path) -> None:
    settings = service_settings(tmp_path, port=8080)
    assert "/app" not in welcome(settings, ably=None, embedded=True)
    said = welcome(replace(settings, jwt_secret_is_generated=True), ably=None, embedded=True)
    first = next(line for line in said.splitlines() if line.startswith("  "))
    assert first.split(" (")[0] == "  Start here          http://127.0.0.1:8080/app"


def test_missing_packages_of_the_pages_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("handlers.server.serving.WEB", tmp_path)
    settings = service_settings(tmp_path, port=8080, jwt_secret_is_generated=True)
    assert "`make web` brings them" in welcome(settings, ably=None, embedded=True)
