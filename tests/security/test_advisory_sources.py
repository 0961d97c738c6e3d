"""pip-audit and npm themselves, asked about vulnerabilities, with a source of our own that answers."""

from __future__ import annotations

import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from tools.supply import ask_npm, ask_pip_audit
from tools.supply.answers import Advisory, NoAnswerError
from tools.supply.lock_files import Package

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Source(BaseHTTPRequestHandler):
    """Answers as OSV and the registry of npm do. It knows the ids of advisories by name and version."""

    known: dict[tuple[str, str], str]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        body = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
        asked = json.loads(body)
        self.answer(200, self.as_npm(asked) if "/advisories/bulk" in self.path else self.as_osv(asked))

    def do_GET(self) -> None:
        self.answer(404, {})

    def as_osv(self, asked: dict[str, Any]) -> dict[str, Any]:
        found = self.known.get((asked["package"]["name"], asked["version"]))
        return {"vulns": [{"id": found, "aliases": [], "affected": []}]} if found else {}

    def as_npm(self, asked: dict[str, list[str]]) -> dict[str, Any]:
        return {
            name: [
                {
                    "id": 1,
                    "title": "",
                    "severity": "high",
                    "vulnerable_versions": f"<={version}",
                    "url": f"https://advisories.invalid/{self.known[name, version]}",
                }
            ]
            for name, versions in asked.items()
            for version in versions
            if (name, version) in self.known
        }

    def answer(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(Source, "known", {}, raising=False)
    with ThreadingHTTPServer(("127.0.0.1", 0), Source) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        serving.join()


def test_pip_audit_names_what_its_source_knows(source: str, tmp_path: Path) -> None:
    services = [("--vulnerability-service", "osv", "--osv-url", f"{source}/v1/query")]
    # Two versions of one package, for different Pythons, as there are in our lock files.
    packages = [Package("pypi", "av", version, ()) for version in ("18.1.0", "19.0.2")]
    Source.known |= {("jinja2", "2.10"): "GHSA-of-the-control", ("av", "19.0.2"): "GHSA-of-av"}
    found = ask_pip_audit.known_vulnerabilities(packages, tmp_path, services)
    assert found == [Advisory("av", "19.0.2", ("GHSA-of-av",))]


def test_npm_names_what_its_source_knows(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("npm_config_registry", f"{source}/")
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "cache"))
    folder, scratch = tmp_path / "web", tmp_path / "scratch"
    folder.mkdir()
    scratch.mkdir()
    needs = {"dependencies": {"preact": "11.2.0"}}
    (folder / "package.json").write_text(json.dumps({"name": "web", "private": True, **needs}))
    places = {"": needs, "node_modules/preact": {"version": "11.2.0"}}
    lock = {"name": "web", "lockfileVersion": 3, "requires": True, "packages": places}
    (folder / "package-lock.json").write_text(json.dumps(lock))
    Source.known |= {("lodash", "4.17.4"): "GHSA-of-the-control"}
    Source.known[("preact", "11.2.0")] = "GHSA-of-preact"
    assert ask_npm.known_vulnerabilities(folder, scratch) == [
        Advisory("preact", "<=11.2.0", ("GHSA-of-preact",))
    ]
    Source.known.clear()
    with pytest.raises(NoAnswerError, match="npm knows nothing of lodash"):
        ask_npm.known_vulnerabilities(folder, scratch)
