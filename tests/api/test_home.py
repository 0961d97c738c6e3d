"""The page at `/`: where everything is."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from handlers.server import home
from rdchat import __version__
from tests.support.service import service_settings

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.service import Service

_AS_BROWSERS_ASK = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


async def shown(service: Service, accept: str | None) -> tuple[str, Any, str]:
    headers = {"Accept": accept} if accept is not None else {}
    async with service.client.get(f"{service.base}/", headers=headers) as answer:
        assert answer.status == 200
        return answer.content_type, answer.headers, await answer.text()


async def test_browsers_get_a_page_with_links_that_work(service: Service) -> None:
    kind, headers, page = await shown(service, _AS_BROWSERS_ASK)
    assert (kind, "Accept" in headers["Vary"]) == ("text/html", True)
    links = re.findall(r'href="(http[^"]+)"', page)
    assert len(links) >= 5
    for link in links:
        assert link.startswith(f"{service.base}/")
        async with service.client.get(link) as answer:
            assert answer.status == 200, link
    assert __version__ in page
    assert "run.py token --role client" in page


@pytest.mark.parametrize("accept", ["application/json", "*/*", "", None])
async def test_programs_get_json(service: Service, accept: str | None) -> None:
    kind, headers, _ = await shown(service, accept)
    assert (kind, "Accept" in headers["Vary"]) == ("application/json", True)


async def test_the_page_may_load_and_run_nothing_but_its_own_style(service: Service) -> None:
    _, headers, page = await shown(service, _AS_BROWSERS_ASK)
    style = re.search(r"<style>(.*)</style>", page, re.DOTALL)
    assert style is not None
    fingerprint = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    policy = dict(rule.split(" ", 1) for rule in headers["Content-Security-Policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        "style-src": f"'sha256-{fingerprint}'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert "<script" not in page
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert not re.search(r"url\(|@import|src=", page)


def test_where_an_identity_provider_issues_tokens_none_are_promised(tmp_path: Path) -> None:
    made = service_settings(tmp_path)
    assert "run.py token" in home.page(made)
    without = home.page(replace(made, jwt_secret=None, jwt_jwks_url="https://id.example/keys"))
    assert "run.py token" not in without
    assert "identity provider" in without


def test_an_address_in_the_page_is_text(tmp_path: Path) -> None:
    made = service_settings(tmp_path, public_url="https://chat.example/a&b'c")
    assert "https://chat.example/a&amp;b&#x27;c/openapi.json" in home.page(made)


def test_what_is_for_operators_is_shown_to_them_alone(tmp_path: Path) -> None:
    made = replace(service_settings(tmp_path, public_url="https://chat.example"), port=8080)
    near, far = (home.facts(made, near=is_near) for is_near in (True, False))
    assert {name: near[name] for name in near.keys() - far.keys()} == {
        "documentation": "http://127.0.0.1:8080/docs",
        "metrics": "http://127.0.0.1:8080/metrics",
    }
    assert ("/metrics" in home.page(made), "/metrics" in home.page(made, near=False)) == (True, False)
    made = replace(made, operations_port=9090)
    assert home.facts(made, near=True)["metrics"] == "http://127.0.0.1:9090/metrics"
