"""The pages at `/app`: how they and what they load are served, and what they may do."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import shutil
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit
from uuid import uuid4

import aiohttp
import pytest
from yarl import URL

from config import CrisisContact, Organizations
from config.organizations import Organization
from handlers.pages import app_policy, static_files
from handlers.pages.vendored import FILES, FONT, IMPORTS
from rdchat import __version__
from rdchat.transcript import STYLE_SOURCE
from tests.support.envelope import envelope_fault
from tests.support.service import Reply, Service, service_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("web_packages")


@dataclass
class Got:
    """What a browser gets, as it came over the wire."""

    status: int
    headers: Any
    body: bytes

    @property
    def text(self) -> str:
        packed = self.headers.get("Content-Encoding") == "gzip"
        return (gzip.decompress(self.body) if packed else self.body).decode()


class Pages:
    """Asks a service for what browsers ask it."""

    def __init__(self, service: Service, http: aiohttp.ClientSession) -> None:
        self.service = service
        self.base = service.base
        self._http = http

    async def get(self, path: str, accepted: str = "gzip", *, method: str = "GET", **headers: str) -> Got:
        url = path if "://" in path else self.base + path
        said = {"Accept-Encoding": accepted, **{k.replace("_", "-"): v for k, v in headers.items()}}
        async with self._http.request(method, URL(url, encoded=True), headers=said) as answer:
            return Got(answer.status, answer.headers, await answer.read())

    async def settings(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(block((await self.get("/app")).text, 'type="application/json"'))
        return told

    async def static(self) -> str:
        root: str = (await self.settings())["static"]
        return root


def block(page: str, marked: str) -> str:
    found = re.search(rf"<script[^>]*{marked}[^>]*>(.*?)</script>", page, re.DOTALL)
    assert found is not None, marked
    return found[1]


def hrefs(page: str, rel: str) -> list[str]:
    tags = [tag for tag in re.findall(r"<link [^>]*>", page) if f'rel="{rel}"' in tag]
    return [re.findall(r'href="([^"]+)"', tag)[0] for tag in tags]


def policy_of(got: Got) -> dict[str, set[str]]:
    rules = (rule.split(" ") for rule in got.headers["Content-Security-Policy"].split("; "))
    return {name: set(sources) for name, *sources in rules}


@asynccontextmanager
async def running(tmp_path: Path, database_url: str, redis_url: str, **changes: Any) -> AsyncIterator[Pages]:
    settings = service_settings(tmp_path, **{"jwt_secret_is_generated": True, **changes})
    async with (
        Service.running(settings, database_url=database_url, redis_url=redis_url) as service,
        aiohttp.ClientSession(auto_decompress=False) as http,
    ):
        yield Pages(service, http)


@pytest.fixture
async def pages(tmp_path: Path, database_url: str, redis_url: str) -> AsyncIterator[Pages]:
    async with running(tmp_path, database_url, redis_url) as made:
        yield made


async def test_every_path_is_the_same_page(pages: Pages) -> None:
    page = await pages.get("/app")
    assert page.status == 200
    for path in ("/app/", "/app/anything", "/app/chat/123?x=1", "/app/sign-in/done", "/app/staticky"):
        other = await pages.get(path)
        assert (other.status, other.body, other.headers["ETag"]) == (200, page.body, page.headers["ETag"])


async def test_the_page_is_asked_for_again_and_not_sent_again(pages: Pages) -> None:
    for accepted, packed in (("gzip", True), ("identity", False)):
        page = await pages.get("/app", accepted)
        assert page.headers["Content-Type"] == "text/html; charset=utf-8"
        assert page.headers["Cache-Control"] == "no-cache"
        assert ("Content-Encoding" in page.headers) is packed
        assert "Accept-Encoding" in page.headers["Vary"]
        again = await pages.get("/app/elsewhere", accepted, If_None_Match=page.headers["ETag"])
        assert (again.status, again.body) == (304, b"")
        for name in ("ETag", "Cache-Control", "Content-Security-Policy"):
            assert again.headers[name] == page.headers[name]
    assert (await pages.get("/app", If_None_Match='"another"')).status == 200


async def test_what_the_page_may_do(pages: Pages) -> None:
    page = await pages.get("/app")
    fingerprint = hashlib.sha256(block(page.text, 'type="importmap"').encode()).digest()
    ably = pages.service.runtime.ably.endpoint
    own = {"'self'", pages.base}
    assert policy_of(page) == {
        "default-src": {"'none'"},
        "script-src": {"'self'", f"'sha256-{base64.b64encode(fingerprint).decode()}'"},
        "style-src": {"'self'", STYLE_SOURCE},
        "font-src": {"'self'"},
        "img-src": {*own, "blob:", "data:"},
        "media-src": {*own, "blob:"},
        "connect-src": {*own, f"http://{ably}", f"ws://{ably}"},
        "frame-src": own,
        "frame-ancestors": {"'self'"},
        "base-uri": {"'none'"},
        "form-action": {"'self'"},
    }
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert not re.search(r"<style|\son\w+=|\sstyle=", page.text)


def test_with_ably_itself_its_hosts_are_called() -> None:
    sources = app_policy.realtime_sources({"endpoint": "main", "port": 443, "tls": True})
    assert set(sources) == {
        f"{scheme}://*.{domain}"
        for scheme in ("https", "wss")
        for domain in ("ably.net", "ably-realtime.com", "ably.io")
    }
    # A policy has no way to write such an address.
    assert app_policy.realtime_sources({"endpoint": "[::1]", "port": 1, "tls": False}) == ("http:", "ws:")


async def test_what_the_page_is_told(pages: Pages) -> None:
    told = await pages.settings()
    assert told.pop("static").startswith("/app/static/")
    assert told == {
        "base": "",
        "version": __version__,
        "signIn": "people",
        "oidc": None,
        "language": "id",
        "initialLead": 1.0,
        "endWarningLead": 1.0,
        "minSession": 2.0,
        "maxSession": 14400.0,
        "extensionStep": 60.0,
        "bookingNotice": 0.0,
        "bookingHorizon": 800 * 86400.0,
        "cancelDeadline": 0.0,
        "reminders": [],
        "maxAttachment": 1024 * 1024,
        "crisisContacts": [],
    }


async def test_whom_to_turn_to_is_known_before_one_signs_in(
    tmp_path: Path, database_url: str, redis_url: str
) -> None:
    own = CrisisContact("Kampus", url="https://campus.example/help")
    everyone = CrisisContact(
        "</script>", "119 ext 8", text={"id": "Gratis.", "en": "Free."}, reviewed_on=date(2026, 5, 31)
    )
    of = Organizations(
        Organization(crisis_contacts=(everyone,)), {uuid4(): Organization(crisis_contacts=(own,))}
    )
    async with running(tmp_path, database_url, redis_url, organizations=of) as pages:
        assert (await pages.settings())["crisisContacts"] == [
            {
                "name": "</script>",
                "phone": "119 ext 8",
                "url": None,
                "hours": None,
                "text": {"id": "Gratis.", "en": "Free."},
                "reviewedAt": "2026-05-31",
            }
        ]


async def test_with_an_identity_provider(tmp_path: Path, database_url: str, redis_url: str) -> None:
    oidc = {"oidc_authority": "https://id.example/realms/x", "oidc_client_id": "</script><web>"}
    async with running(tmp_path, database_url, redis_url, **oidc) as pages:
        page = await pages.get("/app")
        assert "https://id.example" in policy_of(page)["connect-src"]
        assert "</script><web>" not in page.text
        told = await pages.settings()
        assert told["signIn"] == "oidc"
        assert told["oidc"] == {
            "authority": "https://id.example/realms/x",
            "clientId": "</script><web>",
            "scope": "openid profile email",
        }


async def test_without_a_way_to_sign_in_the_pages_are_off(
    tmp_path: Path, database_url: str, redis_url: str
) -> None:
    async with running(tmp_path, database_url, redis_url, jwt_secret_is_generated=False) as pages:
        for path in ("/app", "/app/x", "/app/static/0/app/main.js"):
            page = await pages.get(path)
            assert (page.status, page.headers["Content-Type"]) == (404, "text/html; charset=utf-8")
            assert "RDCHAT_OIDC_AUTHORITY" in page.text
        assert '"app"' not in (await pages.get("/", Accept="application/json")).text


async def test_where_everything_is_names_the_app(pages: Pages) -> None:
    assert json.loads((await pages.get("/", Accept="application/json")).text)["app"] == f"{pages.base}/app"
    assert f'href="{pages.base}/app"' in (await pages.get("/", Accept="text/html")).text


async def test_everything_that_the_page_names_is_there_for_good(pages: Pages) -> None:
    page = (await pages.get("/app")).text
    static = await pages.static()
    imports = json.loads(block(page, 'type="importmap"'))["imports"]
    assert set(imports) == set(IMPORTS)
    named = [*imports.values(), *hrefs(page, "stylesheet"), *hrefs(page, "modulepreload")]
    named += [*hrefs(page, "icon"), *hrefs(page, "preload"), *re.findall(r'src="([^"]+)"', page)]
    assert f"{static}/vendor/{FONT}" in named
    for path in named:
        assert path.startswith(f"{static}/"), path
        file = await pages.get(path)
        assert file.status == 200, path
        assert file.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert file.headers["X-Content-Type-Options"] == "nosniff"
        assert (await pages.get(path, If_None_Match=file.headers["ETag"])).status == 304


async def test_types_and_packing(pages: Pages) -> None:
    static = await pages.static()
    for name, media_type, packed in (
        ("app/main.js", "text/javascript; charset=utf-8", True),
        ("client/rdchat.js", "text/javascript; charset=utf-8", True),
        ("app/style/main.css", "text/css; charset=utf-8", True),
        (f"vendor/{IMPORTS['preact']}", "text/javascript; charset=utf-8", True),
        ("vendor/uplot/dist/uPlot.min.css", "text/css; charset=utf-8", True),
        (f"vendor/{FONT}", "font/woff2", False),
    ):
        plain = await pages.get(f"{static}/{name}", "identity")
        small = await pages.get(f"{static}/{name}", "gzip, br")
        assert plain.headers["Content-Type"] == small.headers["Content-Type"] == media_type
        assert "Content-Encoding" not in plain.headers
        assert (small.headers.get("Content-Encoding") == "gzip") is packed
        assert ("Accept-Encoding" in small.headers.get("Vary", "")) is packed
        assert (gzip.decompress(small.body) if packed else small.body) == plain.body
        # One tag names one sequence of bytes.
        assert (plain.headers["ETag"] != small.headers["ETag"]) is packed
    assert plain.body == (static_files.WEB / "node_modules" / FONT).read_bytes()


async def test_modules_import_one_another_as_they_lie_in_the_folder(pages: Pages) -> None:
    static = await pages.static()
    source = (await pages.get(f"{static}/app/identity.js")).text
    specifier = re.findall(r'from "(\.\./client/[^"]+)"', source)[0]
    imported = await pages.get(urlsplit(urljoin(f"{pages.base}{static}/app/main.js", specifier)).path)
    assert imported.status == 200
    assert imported.text == (static_files.WEB / "app" / specifier).resolve().read_text()


@pytest.mark.parametrize(
    "path",
    [
        "/app/static",
        "/app/static/",
        "/app/static/{hash}",
        "/app/static/{hash}/",
        "/app/static/{hash}/app",
        "/app/static/{hash}/app/",
        "/app/static/{hash}/app/none.js",
        "/app/static/{hash}/app/index.html",
        "/app/static/{hash}/package.json",
        "/app/static/{hash}/vendor/preact/package.json",
        "/app/static/{hash}/node_modules/preact/dist/preact.mjs",
        "/app/static/00000000000000000000/app/main.js",
        "/app/static/app/main.js",
        "/app/static/{hash}/app/..%2f..%2f..%2frun.py",
        "/app/static/{hash}/app/%2e%2e/%2e%2e/run.py",
        "/app/static/{hash}/app//main.js",
        "/app/static/{hash}//etc/passwd",
        "/app/static/{hash}/app/main.js%00",
        "/app/static/{hash}/app\\main.js",
    ],
)
async def test_nothing_else_is_served(pages: Pages, path: str) -> None:
    static = await pages.static()
    got = await pages.get(path.replace("{hash}", static.rpartition("/")[2]))
    assert (got.status, got.headers["Cache-Control"]) == (404, "no-store")
    assert envelope_fault(Reply(got.status, json.loads(got.text), got.headers)) is None


async def test_head_says_what_get_would(pages: Pages) -> None:
    for path in ("/app", f"{await pages.static()}/app/main.js"):
        for accepted in ("gzip", "identity"):
            get = await pages.get(path, accepted)
            head = await pages.get(path, accepted, method="HEAD")
            assert (head.status, head.body) == (200, b"")
            for name in ("ETag", "Content-Type", "Content-Length", "Cache-Control", "Vary"):
                assert head.headers[name] == get.headers[name], name
            assert head.headers.get("Content-Encoding") == get.headers.get("Content-Encoding")


async def test_other_methods_are_refused_in_the_envelope(pages: Pages) -> None:
    for path in ("/app", "/app/x", f"{await pages.static()}/app/main.js"):
        got = await pages.get(path, method="DELETE")
        assert (got.status, got.headers["Allow"]) == (405, "GET,HEAD")
        assert json.loads(got.text)["code"] == "METHOD_NOT_ALLOWED"


async def test_behind_a_prefix(tmp_path: Path, database_url: str, redis_url: str) -> None:
    public = "https://chat.example/konseling/a&b"
    async with running(tmp_path, database_url, redis_url, public_url=public) as pages:
        page = await pages.get("/app")
        told = await pages.settings()
        assert told["base"] == "/konseling/a&b"
        assert told["static"].startswith("/konseling/a&b/app/static/")
        assert "https://chat.example" in policy_of(page)["img-src"]
        named = [*json.loads(block(page.text, 'type="importmap"'))["imports"].values()]
        named += re.findall(r'(?:href|src)="([^"]+)"', page.text)
        for path in named:
            path = path.replace("&amp;", "&")  # noqa: PLW2901 - as browsers read it
            assert path.startswith(f"{told['static']}/"), path
            assert (await pages.get(path.removeprefix("/konseling/a&b"))).status == 200, path


async def test_what_lacks_packages_says_which_and_recovers_without_a_restart(
    tmp_path: Path, database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "web"
    for part in ("app", "client"):
        shutil.copytree(static_files.WEB / part, folder / part)
    for file in FILES[1:]:
        (folder / "node_modules" / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(static_files.WEB / "node_modules" / file, folder / "node_modules" / file)
    monkeypatch.setattr("handlers.pages.app_routes.WEB", folder)
    async with running(tmp_path, database_url, redis_url) as pages:
        for path in ("/app", "/app/x"):
            page = await pages.get(path)
            assert (page.status, page.headers["Cache-Control"]) == (503, "no-store")
            assert FILES[0] in page.text
            assert FILES[1] not in page.text
            assert "make web" in page.text
            assert set(policy_of(page)["default-src"]) == {"'none'"}
        assert (await pages.get("/app/static/0/app/main.js")).status == 404
        assert (await pages.get("/healthz")).status == 200
        missing = folder / "node_modules" / FILES[0]
        missing.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(static_files.WEB / "node_modules" / FILES[0], missing)
        assert (await pages.get("/app")).status == 200


async def test_another_edit_is_another_hash(tmp_path: Path) -> None:
    folder = tmp_path / "web"
    for part in ("app", "client"):
        shutil.copytree(static_files.WEB / part, folder / part)
    packages = static_files.WEB / "node_modules"
    first = static_files.read_static_files(folder, packages).hash
    assert static_files.read_static_files(folder, packages).hash == first
    with (folder / "client" / "clock.js").open("a") as file:
        file.write("\n")
    second = static_files.read_static_files(folder, packages).hash
    (folder / "client" / "clock.js").rename(folder / "client" / "clocks.js")
    assert len({first, second, static_files.read_static_files(folder, packages).hash}) == 3


async def test_pages_of_other_origins_may_read_them_as_they_may_read_the_rest(pages: Pages) -> None:
    for path in ("/app", f"{await pages.static()}/app/main.js"):
        got = await pages.get(path, Origin="http://localhost:3000")
        assert got.headers["Access-Control-Allow-Origin"] == "http://localhost:3000"
        assert "Origin" in got.headers["Vary"]
        assert (
            "Access-Control-Allow-Origin"
            not in (await pages.get(path, Origin="https://evil.example")).headers
        )
