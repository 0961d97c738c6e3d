"""Look for keys and passwords in all that git has: every commit up to HEAD, and what is not committed.

Usage: python -m tools.supply.leaked_secrets [--strict]

Kingfisher looks, with its own rules and those of secret_rules.yml, in a copy that has no more than that: what
git ignores - a virtual environment, the secrets of development - is not looked at. What is found fails (1),
but for the false alarms of exceptions.toml. Where nothing could be looked for, as in a folder that is no
repository, that is what is said: as a warning, with --strict as a failure (2). Values are not printed, and
nothing leaves this machine.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tools.supply.exceptions import FalseAlarm, false_alarms

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT: Final = Path(__file__).parents[2]
RULES: Final = Path(__file__).with_name("secret_rules.yml")
SCANNER: Final = Path(sys.executable).with_name("kingfisher")
#: As what is not committed is looked at; no commit of git's has it.
_UNCOMMITTED: Final = "uncommitted"
NOT_CHECKED: Final = 2
#: With findings, and without.
_STATUSES: Final = (0, 200)
_IDENTITY: Final = (
    "-c",
    "user.name=rdchat",
    "-c",
    "user.email=rdchat@localhost",
    "-c",
    "commit.gpgSign=false",
)


class ScanFailedError(Exception):
    """Not everything was looked at; the message says why."""


class Finding(NamedTuple):
    """What looks like a secret, and where it was first seen."""

    rule: str
    sha256: str
    place: str
    commit: str


class Scan(NamedTuple):
    """What was looked at, and what was found."""

    commits: int
    blobs: int
    shallow: bool
    findings: list[Finding]


def scan(root: Path) -> Scan:
    """Look through a repository. Raise ScanFailedError."""
    with tempfile.TemporaryDirectory(prefix="rdchat-secrets-") as scratch:
        copy = Path(scratch) / "copy"
        uncommitted = _copy(root, copy, Path(scratch))
        return read_report(_report_on(copy, Path(scratch) / "report.json"), uncommitted)


def _copy(root: Path, copy: Path, scratch: Path) -> set[str]:
    """Copy what led to HEAD and what is not committed. Return the commits that were made for the latter."""
    _git(scratch, "init", "--quiet", "--bare", str(copy))
    _git(copy, "config", "receive.shallowUpdate", "true")
    _git(root, "push", "--quiet", "--no-verify", str(copy), "HEAD:refs/heads/head")
    # While a commit is made git has another index for it; it may be locked, so it is copied.
    index = Path(os.environ.get("GIT_INDEX_FILE") or _git(root, "rev-parse", "--git-path", "index"))
    changed = shutil.copy(root / index, scratch / "index")
    trees = [_git(root, "write-tree", index=changed)]
    _git(root, "add", "--update", "--", ".", index=changed)
    trees.append(_git(root, "write-tree", index=changed))
    made = set()
    for number, tree in enumerate(trees):
        if tree != _git(root, "rev-parse", "HEAD^{tree}"):
            commit = _git(root, *_IDENTITY, "commit-tree", "-p", "HEAD", "-m", _UNCOMMITTED, tree)
            _git(
                root,
                "push",
                "--quiet",
                "--no-verify",
                str(copy),
                f"{commit}:refs/heads/{_UNCOMMITTED}-{number}",
            )
            made.add(commit)
    return made


def _git(folder: Path, *arguments: str, index: str | Path | None = None) -> str:
    # A hook is told where its repository is; here it is told by the folder.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    if index is not None:
        environment["GIT_INDEX_FILE"] = str(index)
    done = subprocess.run(  # noqa: S603 - git with our own arguments
        ["git", "-C", str(folder), *arguments],  # noqa: S607 - the git that the developer uses
        env=environment,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    if done.returncode:
        raise ScanFailedError(f"git {arguments[0]}: {done.stderr.strip()}")
    return done.stdout.strip()


def _report_on(repository: Path, report: Path) -> dict[str, Any]:
    if not SCANNER.exists():
        raise ScanFailedError(f"{SCANNER} is not there; `make secrets` installs it")
    # By default it would try at their providers whether what it found is valid.
    command = [str(SCANNER), "scan", str(repository), "--no-validate", "--no-update-check"]
    # A comment in a file silences nothing; exceptions.toml has all that is let pass.
    command += ["--no-ignore", "--rules-path", str(RULES), "--format", "json", "--output", str(report)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)  # noqa: S603 - the scanner
    if done.returncode not in _STATUSES or not report.exists():
        raise ScanFailedError(f"the scanner ended with {done.returncode}: {done.stderr.strip()[-500:]}")
    content: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    return content


def read_report(report: dict[str, Any], uncommitted: set[str]) -> Scan:
    """Read what the scanner reports. Raise ScanFailedError unless it has looked at everything."""
    (repository,) = report["audit"]["repositories"]
    git, stats = repository["git"], repository["stats"]
    if repository["scan"]["status"] != "completed" or not stats["blobs_scanned"]:
        raise ScanFailedError(f"not everything was looked at: {repository['scan']}")
    findings = []
    for entry in report["findings"]:
        found = entry["finding"]
        commit = found.get("git_metadata", {}).get("commit", {}).get("id", "")
        findings.append(
            Finding(
                entry["rule"]["id"],
                hashlib.sha256(found["snippet"].encode()).hexdigest(),
                f"{found['path']}:{found['line']}",
                _UNCOMMITTED if commit in uncommitted else commit[:12],
            )
        )
    return Scan(
        git["fetched_commit_count"] - len(uncommitted), stats["blobs_scanned"], git["shallow"], findings
    )


def judged(done: Scan, known: Sequence[FalseAlarm]) -> tuple[str, int]:
    """Return what is to be said of a scan, and the exit status."""
    passed = {(one.rule, one.sha256) for one in known}
    seen = {(one.rule, one.sha256) for one in done.findings}
    leaked = [one for one in done.findings if (one.rule, one.sha256) not in passed]
    looked_at = f"{done.commits} commits and what is not committed, {done.blobs} files"
    lines = [f"{looked_at}: {len(leaked) or 'no'} secrets, {len(seen & passed)} known false alarms"]
    if done.shallow:
        lines.append("WARNING: this clone is shallow; what its history lacks was NOT CHECKED.")
    lines += [f"  SECRET: {one.rule} in {one.place} ({one.commit}), sha256 {one.sha256}" for one in leaked]
    if leaked:
        lines.append(
            "  What was pushed has to be replaced where it is used; what guards nothing: exceptions.toml."
        )
    stale = [] if done.shallow else [one for one in known if (one.rule, one.sha256) not in seen]
    lines += [f"  exceptions.toml: {one.rule} {one.sha256} is nowhere: take it out" for one in stale]
    return "".join(f"{line}\n" for line in lines), int(bool(leaked or stale))


def main(arguments: Sequence[str]) -> int:
    """Look through this repository, say what was found, and return the exit status."""
    strict = "--strict" in arguments
    try:
        text, status = judged(scan(ROOT), false_alarms())
    except ScanFailedError as error:
        mark, status = ("ERROR", NOT_CHECKED) if strict else ("WARNING", 0)
        text = f"{mark}: NOT CHECKED for keys and passwords: {error}\n"
    sys.stdout.write(text)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
