"""Known vulnerabilities of npm packages, by `npm audit`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from tools.set_up_web import find_npm
from tools.supply.answers import Advisory, NoAnswerError

#: Has let the prototype of all objects be changed, which has been known since 2018.
CONTROL: Final = ("lodash", "4.17.4")
_SECONDS: Final = 120.0
_IMPATIENT: Final = ("--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-timeout=20000")


def known_vulnerabilities(
    folder: Path, scratch: Path, environment: Path = Path(sys.prefix)
) -> list[Advisory]:
    """Return the advisories of what a folder's lock file pins. Raise NoAnswerError."""
    npm = find_npm(environment)
    if npm is None:
        raise NoAnswerError("there is no npm")
    name, version = CONTROL
    pinned = {"": {"dependencies": {name: version}}, f"node_modules/{name}": {"version": version}}
    for file, content in (
        ("package.json", {"name": "control", "version": "1.0.0", "dependencies": {name: version}}),
        (
            "package-lock.json",
            {"name": "control", "lockfileVersion": 3, "requires": True, "packages": pinned},
        ),
    ):
        (scratch / file).write_text(json.dumps(content), encoding="utf-8")
    if not _audit(npm, scratch):
        raise NoAnswerError(f"npm knows nothing of {name} {version}, which has known vulnerabilities")
    return _audit(npm, folder)


def _audit(npm: list[str], folder: Path) -> list[Advisory]:
    path = f"{Path(npm[0]).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    try:
        done = subprocess.run(  # noqa: S603 - npm, with our own arguments
            [*npm, "audit", "--json", "--package-lock-only", *_IMPATIENT],
            cwd=folder,
            env=os.environ | {"PATH": path},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        raise NoAnswerError(f"npm had no answer after {_SECONDS:g} s") from late
    return read_report(done.stdout)


def read_report(report: str) -> list[Advisory]:
    """Read what `npm audit` reports. Raise NoAnswerError."""
    try:
        content: dict[str, Any] = json.loads(report)
    except ValueError:
        raise NoAnswerError("npm: no report") from None
    if "vulnerabilities" not in content or "auditReportVersion" not in content:
        raise NoAnswerError(f"npm: {content.get('message') or content.get('error') or 'no report'}")
    return [
        Advisory(name, cause["range"], (cause["url"].rpartition("/")[2],))
        for name, vulnerability in content["vulnerabilities"].items()
        # What only needs a package that has one is named as well, by that package's name.
        for cause in vulnerability["via"]
        if isinstance(cause, dict)
    ]
