"""Ask for known vulnerabilities of what the lock files pin: Python packages by pip-audit, others by npm.

Usage: python -m tools.supply.advisories [--strict]

Where no advisory data can be reached, both programs may say that they found nothing: pip-audit where an index
does not answer for single versions, npm where a mirror answers with an empty list. So each is asked for a
release first of which vulnerabilities have been known for years. If it does not name one, nothing was
checked, and that is what is said: as a warning, with --strict as a failure (2). What is found fails (1), but
for what exceptions.toml accepts.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rdchat.common.clock import SystemClock
from tools.supply import ask_npm, ask_pip_audit
from tools.supply.answers import NoAnswerError
from tools.supply.exceptions import accepted_advisories
from tools.supply.lock_files import npm_packages, python_packages

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date

    from tools.supply.answers import Advisory
    from tools.supply.exceptions import Accepted

ROOT: Final = Path(__file__).parents[2]
FOUND: Final = 1
NOT_CHECKED: Final = 2


def main(arguments: Sequence[str], root: Path = ROOT) -> int:
    """Ask, say what was answered, and return the exit status."""
    python = {
        package.url: package
        for lock in ("requirements.lock", "requirements-dev.lock")
        for package in python_packages(root / lock)
    }.values()
    npm = npm_packages(root / "web" / "package-lock.json", dev=True)
    questions: list[tuple[str, Callable[[Path], list[Advisory]]]] = [
        (
            f"{len(python)} Python packages",
            lambda scratch: ask_pip_audit.known_vulnerabilities(python, scratch),
        ),
        (f"{len(npm)} npm packages", lambda scratch: ask_npm.known_vulnerabilities(root / "web", scratch)),
    ]
    text, status = answered(
        questions, accepted_advisories(), SystemClock().now().date(), strict="--strict" in arguments
    )
    sys.stdout.write(text)
    return status


def answered(
    questions: Sequence[tuple[str, Callable[[Path], list[Advisory]]]],
    accepted: Sequence[Accepted],
    today: date,
    *,
    strict: bool,
) -> tuple[str, int]:
    """Ask each question. Return what is to be said, and the exit status."""
    lines: list[str] = []
    found: list[Advisory] = []
    unanswered = 0
    for what, ask in questions:
        with tempfile.TemporaryDirectory(prefix="rdchat-advisories-") as scratch:
            try:
                advisories = ask(Path(scratch))
            except NoAnswerError as error:
                unanswered += 1
                lines += [
                    f"{'ERROR' if strict else 'WARNING'}: {what}: NOT CHECKED for known vulnerabilities.",
                    f"  {error}",
                    "  This says nothing about them; `make advisories ARGS=--strict` fails until it does.",
                ]
                continue
        found += advisories
        lines.append(f"{what}: {len(advisories) or 'no'} known vulnerabilities")
    valid = {one.id: one for one in accepted if one.until >= today}
    named = {name for advisory in found for name in advisory.ids}
    refused = [advisory for advisory in found if not valid.keys() & set(advisory.ids)]
    for advisory in found:
        mark = "VULNERABLE" if advisory in refused else "accepted"
        fixed = f"; fixed in {', '.join(advisory.fixed_in)}" if advisory.fixed_in else ""
        lines.append(f"  {mark}: {advisory.package} {advisory.version}: {', '.join(advisory.ids)}{fixed}")
    # While not all have answered, nothing is known of the others.
    stale = [one.id for one in accepted if one.id not in named] if not unanswered else []
    lines += [f"  exceptions.toml accepts {name}, which nothing has: take it out" for name in stale]
    status = FOUND if refused or stale else NOT_CHECKED if unanswered and strict else 0
    return "".join(f"{line}\n" for line in lines), status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
