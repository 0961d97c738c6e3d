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

#: What pip-audit is told, for each that is asked, until one answers.
SERVICES: Final = (("--vulnerability-service", "pypi"), ("--vulnerability-service", "osv"))
#: Has let templates leave their sandbox, which has been known since 2019.
CONTROL: Final = "jinja2==2.10"
_SECONDS: Final = 300.0
#: Of the last line that pip-audit says on standard error when it fails.
_LONGEST_REASON: Final = 300


def known_vulnerabilities(
    packages: Iterable[Package], scratch: Path, services: Iterable[tuple[str, ...]] = SERVICES
) -> list[Advisory]:
    """Return the advisories of the versions that are pinned, for whatever system. Raise NoAnswerError."""
    packages = list(packages)
    reasons = []
    for service in services:
        try:
            if not _audit([CONTROL], service, scratch):
                raise NoAnswerError(f"knows nothing of {CONTROL}, which has known vulnerabilities")  # noqa: TRY301
            return [advisory for pins in _apart(packages) for advisory in _audit(pins, service, scratch)]
        except NoAnswerError as error:
            reasons.append(f"{service[-1]}: {error}")
    raise NoAnswerError("; ".join(reasons))


def _apart(packages: Iterable[Package]) -> list[list[str]]:
    """Return the pins in lists with each package once, as pip-audit wants it: some have two versions."""
    lists: list[dict[str, str]] = []
    for name, version in dict.fromkeys((package.name, package.version) for package in packages):
        free = next((one for one in lists if name not in one), None)
        if free is None:
            lists.append(free := {})
        free[name] = f"{name}=={version}"
    return [list(one.values()) for one in lists]


def _audit(pins: list[str], service: tuple[str, ...], scratch: Path) -> list[Advisory]:
    """Run pip-audit on pins. Raise NoAnswerError, also if a single package was not answered."""
    file = scratch / "pins.txt"
    file.write_text("\n".join(pins) + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--no-deps", "--progress-spinner", "off"]
    command += [*service, "--timeout", "15", "--format", "json", "--requirement", str(file)]
    try:
        done = subprocess.run(  # noqa: S603 - pip-audit, with our own arguments
            command, capture_output=True, encoding="utf-8", errors="replace", timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as late:
        raise NoAnswerError(f"no answer after {_SECONDS:g} s") from late
    return read_report(done.stdout, done.stderr, asked=len(pins))


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
