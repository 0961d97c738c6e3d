#!/usr/bin/env python3
"""Install a lock file into a virtual environment, and say all the while what is being done.

Usage: set_up.py DIRECTORY LOCK_FILE

pip checks every hash and installs nothing that the lock file does not name. What it says is shortened to a
line for each package; while it unpacks, in silence, the packages that are there are counted. It needs the
standard library only, and no terminal.
"""

from __future__ import annotations

import queue
import re
import subprocess
import sys
import threading
import time
import venv
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

#: How long pip may be silent before something is said in its place.
_PATIENCE_SECONDS: Final = 3.0
#: How many of pip's last lines are shown when it fails.
_TAIL: Final = 20

_PIN: Final = re.compile(r"^[\w.-]+(?:\[[\w,.-]+\])?==", re.MULTILINE)
_FETCHED: Final = re.compile(
    r"\s*(?:Downloading|Using cached|Processing) (?:\S*/)?(?P<name>[^/\s-]+)-(?P<version>[^/\s-]+)"
    r"\S*\.(?:whl|tar\.gz|zip)(?![.\w])(?: \((?P<size>[\d.]+ \w+)\))?"
)
_UNPACKING: Final = "Installing collected packages: "


def main(directory: Path, lock: Path) -> int:
    """Set up `directory` from `lock`, and return the exit status."""
    started = time.monotonic()
    _say(f"Setting up {directory} from {lock}:")
    python = directory / "bin" / "python"
    if not python.exists():
        _say("  a virtual environment with pip")
        venv.create(directory, with_pip=True, symlinks=True)
    command = [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    command += ["--progress-bar", "off", "--require-hashes", "--requirement", str(lock)]
    before = _installed(directory)
    tail: deque[str] = deque(maxlen=_TAIL)
    with subprocess.Popen(  # noqa: S603 - pip, in the environment that was just made for it
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", errors="replace"
    ) as pip:
        lines = _patiently(pip, tail)
        pins = len(_PIN.findall(lock.read_text(encoding="utf-8")))
        for news in retold(lines, pins, lambda: _installed(directory) - before):
            _say(news)
    if pip.returncode:
        _say("\n".join(["It could not be set up. What pip said last:", *tail]))
    else:
        _say(f"  done in {time.monotonic() - started:.0f} s")
    return pip.returncode


def retold(lines: Iterable[str | None], pins: int, installed: Callable[[], int]) -> Iterator[str]:
    """Retell what pip says. `lines` has None wherever it has been silent for a while.

    `installed` counts the packages that are there by now.
    """
    done, last, unpacking = 0, "", 0
    for line in lines:
        if line is None:
            yield (
                f"  {min(installed(), unpacking)} of {unpacking} unpacked"
                if unpacking
                else f"  still busy{last and f'; the last was {last}'}"
            )
        elif line.startswith("Ignoring "):  # what other systems need
            pins -= 1
        elif line.startswith("Requirement already satisfied"):
            done += 1
        elif found := _FETCHED.match(line):
            done += 1
            last = " ".join(filter(None, found.groups()))
            yield f"  {done} of {pins}: {last}"
        elif line.startswith(_UNPACKING):
            unpacking = line.count(",") + 1
            yield f"  unpacking {unpacking}"


def _patiently(pip: subprocess.Popen[str], tail: deque[str]) -> Iterator[str | None]:
    """Yield the lines of pip, and None wherever there has been none for a while; `tail` gets them as well."""
    said: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def listen() -> None:
        for line in pip.stdout or ():
            said.put(line.rstrip())
        said.put(None)

    threading.Thread(target=listen, daemon=True).start()
    while True:
        try:
            line = said.get(timeout=_PATIENCE_SECONDS)
        except queue.Empty:
            yield None
            continue
        if line is None:
            return
        tail.append(line)
        yield line


def _installed(directory: Path) -> int:
    return sum(1 for _ in directory.glob("lib/python*/site-packages/*.dist-info"))


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
