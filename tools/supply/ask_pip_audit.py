"""Known vulnerabilities of Python packages, by pip-audit, from PyPI or else from OSV."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final

from tools.supply.answers import Advisory, NoAnswerError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tools.supply.lock_files import Package

SERVICES: Final = ("pypi", "osv")
#: Has let templates leave their sandbox, which has been known since 2019.
CONTROL: Final = "jinja2==2.10"
_SECONDS: Final = 300.0
#: Of the last line that pip-audit says on standard error when it fails.
_LONGEST_REASON: Final = 300


def known_vulnerabilities(packages: Iterable[Package], scratch: Path) -> list[Advisory]:
    """Return the advisories of the versions that are pinned, for whatever system. Raise NoAnswerError."""
    reasons = []
    for service in SERVICES:
        try:
            if not _audit([[CONTROL]], service, scratch):
                raise NoAnswerError(f"knows nothing of {CONTROL}, which has known vulnerabilities")  # noqa: TRY301
            return _audit(_apart(packages), service, scratch)
        except NoAnswerError as error:
            reasons.append(f"{service}: {error}")
    raise NoAnswerError("; ".join(reasons))


def _apart(packages: Iterable[Package]) -> list[list[str]]:
    """Return the pins in lists that have each package once: some have a version for each Python."""
    lists: list[dict[str, str]] = []
    for package in dict.fromkeys((package.name, package.version) for package in packages):
        name, version = package
        free = next((one for one in lists if name not in one), None)
        if free is None:
            lists.append(free := {})
        free[name] = f"{name}=={version}"
    return [list(one.values()) for one in lists]


def _audit(lists: list[list[str]], service: str, scratch: Path) -> list[Advisory]:
    """Run pip-audit on lists of pins. Raise NoAnswerError, also if a single package was not answered."""
    command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--no-deps", "--progress-spinner", "off"]
    command += ["--vulnerability-service", service, "--timeout", "15", "--format", "json"]
    for number, pins in enumerate(lists):
        file = scratch / f"pins-{number}.txt"
        file.write_text("\n".join(pins) + "\n", encoding="utf-8")
        command += ["--requirement", str(file)]
    try:
        done = subprocess.run(  # noqa: S603 - pip-audit, with our own arguments
            command, capture_output=True, encoding="utf-8", errors="replace", timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as late:
        raise NoAnswerError(f"no answer after {_SECONDS:g} s") from late
    return read_report(done.stdout, done.stderr, asked=sum(map(len, lists)))


def read_report(report: str, said: str, *, asked: int) -> list[Advisory]:
    """Read what pip-audit reports on so many packages. Raise NoAnswerError."""
    try:
        entries: list[dict[str, Any]] = json.loads(report)["dependencies"]
    except (ValueError, KeyError):
        last = said.strip().rpartition("\n")[2]
        raise NoAnswerError(last[:_LONGEST_REASON] or "no report") from None
    # A package that the service does not know is skipped, and pip-audit is content.
    skipped = [entry for entry in entries if "vulns" not in entry]
    if skipped or len(entries) != asked:
        reason = skipped[0].get("skip_reason", "") if skipped else ""
        answered = len(entries) - len(skipped)
        raise NoAnswerError(f"answered for {answered} of {asked} packages{reason and f' ({reason})'}")
    return [
        Advisory(
            entry["name"],
            entry["version"],
            (vulnerability["id"], *vulnerability.get("aliases", [])),
            tuple(vulnerability.get("fix_versions", [])),
        )
        for entry in entries
        for vulnerability in entry["vulns"]
    ]
