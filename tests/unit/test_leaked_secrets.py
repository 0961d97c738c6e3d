"""The scanner of secrets finds a key of each kind that we have, wherever git has it, and prints none."""

from __future__ import annotations

import base64
import hashlib
import secrets
import string
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tools.supply import leaked_secrets
from tools.supply.exceptions import FalseAlarm
from tools.supply.leaked_secrets import Finding, Scan, ScanFailedError, judged, read_report, scan

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def letters(count: int) -> str:
    """Return random letters and digits: written down here, they would be found in this repository."""
    return "7" + "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(count - 1))


def base64_key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


def private_key() -> str:
    body = "\n".join(letters(64) for _ in range(12))
    return f"-----BEGIN RSA PRIVATE KEY-----\n{body}\n-----END RSA PRIVATE KEY-----"


#: How a secret is written down, and what is made anew for it.
KINDS: dict[str, tuple[str, Callable[[], str]]] = {
    "ably": ("RDCHAT_ABLY_KEY={}", lambda: f"{letters(6)}.{letters(6)}:{letters(43)}"),
    "ably-in-code": ('ABLY_KEY = "{}"', lambda: f"{letters(6)}.{letters(6)}:{letters(43)}"),
    "jwt": ("RDCHAT_JWT_SECRET={}", lambda: letters(40)),
    "jwt-in-code": ('jwt_secret="{}"', lambda: letters(40)),
    "encryption": ("RDCHAT_ENCRYPTION_KEYS=k1:{}", base64_key),
    "encryption-second": (f"RDCHAT_ENCRYPTION_KEYS=k1:{'A' * 43}=,k2:{{}}", base64_key),
    "database": ("RDCHAT_DATABASE_URL=postgresql://rdchat:{}@db.internal:5432/rdchat", lambda: letters(12)),
    "redis": ("RDCHAT_REDIS_URL=rediss://:{}@cache.internal:6380/0", lambda: letters(12)),
    "bucket": ("RDCHAT_S3_SECRET_ACCESS_KEY={}", lambda: letters(40)),
    "webhook": ("RDCHAT_WEBHOOK_SECRETS=whsec_{}", base64_key),
    "private": ("{}", private_key),
}


class Repository:
    """A repository of its own, with a name and an address for who commits."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.git("init", "--quiet")

    def git(self, *arguments: str) -> None:
        identity = ["-c", "user.name=Test", "-c", "user.email=test@localhost", "-c", "commit.gpgSign=false"]
        subprocess.run(["git", "-C", str(self.folder), *identity, *arguments], check=True)  # noqa: S607

    def commit(self, **files: str) -> None:
        for name, text in files.items():
            (self.folder / name).write_text(text + "\n")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", "Change files")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    (tmp_path / "repository").mkdir()
    return Repository(tmp_path / "repository")


def test_a_key_of_each_kind_is_found_wherever_git_has_it(repository: Repository, tmp_path: Path) -> None:
    planted = {kind: make() for kind, (_, make) in KINDS.items()}
    written = {kind: form.format(planted[kind]) for kind, (form, _) in KINDS.items()}
    repository.commit(readme="Nothing", changed="Nothing", **written)
    for kind in KINDS:
        (repository.folder / kind).unlink()
    also = {place: letters(40) for place in ("staged", "changed", "overwritten", "ignored", "untracked")}
    secret = {place: f"RDCHAT_JWT_SECRET={value}\n" for place, value in also.items()}
    repository.commit(**{".gitignore": "ignored"})
    for place in ("staged", "overwritten"):
        (repository.folder / place).write_text(secret[place])
    repository.git("add", "--all")
    (repository.folder / "overwritten").write_text("Nothing\n")
    for place in ("changed", "ignored", "untracked"):
        (repository.folder / place).write_text(secret[place])
    done = scan(repository.folder)
    assert done.commits == 2
    found = {finding.place.partition(":")[0]: finding for finding in done.findings}
    missed = (planted.keys() | {"staged", "changed", "overwritten"}) - found.keys()
    assert missed == set()
    assert found.keys() & {"ignored", "untracked", "readme"} == set(), "git does not have them"
    assert {found[place].commit for place in ("staged", "changed", "overwritten")} == {"uncommitted"}
    # Found in their right extent, not only seen: this is what an exception names.
    extents = {finding.sha256 for finding in done.findings}
    kinds = planted.keys() - {"private", "webhook"}
    assert {hashlib.sha256(planted[kind].encode()).hexdigest() for kind in kinds} <= extents
    text, status = judged(done, [])
    assert status == 1
    assert not [value for value in (*planted.values(), *also.values()) if value in text]
    # A clone that lacks history says so.
    subprocess.run(
        ["git", "clone", "--quiet", "--depth=1", f"file://{repository.folder}", tmp_path / "shallow"],  # noqa: S607
        check=True,
    )
    shallow = scan(tmp_path / "shallow")
    assert (shallow.shallow, shallow.findings) == (True, [])
    assert "what its history lacks was NOT CHECKED" in judged(shallow, [])[0]


def test_what_could_not_be_looked_through_is_told_as_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(leaked_secrets, "ROOT", tmp_path)
    for strict, status, mark in (([], 0, "WARNING"), (["--strict"], leaked_secrets.NOT_CHECKED, "ERROR")):
        assert leaked_secrets.main(strict) == status
        assert f"{mark}: NOT CHECKED for keys and passwords: git push" in capsys.readouterr().out
    monkeypatch.setattr(leaked_secrets, "SCANNER", tmp_path / "absent")
    Repository(tmp_path).commit(file="Nothing")
    assert leaked_secrets.main(["--strict"]) == leaked_secrets.NOT_CHECKED
    assert "absent is not there" in capsys.readouterr().out


def test_an_exception_is_one_value_under_one_rule_and_still_there() -> None:
    finding = Finding("rdchat.jwt-secret", "aa", "settings.py:3", "abc")
    done = Scan(5, 10, shallow=False, findings=[finding])
    known = FalseAlarm("rdchat.jwt-secret", "aa", "of a test")
    assert judged(done, [known]) == (
        "5 commits and what is not committed, 10 files: no secrets, 1 known false alarms\n",
        0,
    )
    for other in (known._replace(rule="rdchat.ably-key"), known._replace(sha256="bb")):
        assert judged(done, [other])[1] == 1
    gone = judged(done._replace(findings=[]), [known])
    assert (gone[1], "take it out" in gone[0]) == (1, True)


@pytest.mark.parametrize("change", [{"scan": {"status": "partial"}}, {"stats": {"blobs_scanned": 0}}])
def test_what_was_not_looked_at_is_no_clean_bill(change: dict[str, Any]) -> None:
    repository = {
        "git": {"fetched_commit_count": 1, "shallow": False},
        "stats": {"blobs_scanned": 3},
        "scan": {"status": "completed"},
    }
    report = {"audit": {"repositories": [repository]}, "findings": []}
    assert read_report(report, set()).blobs == 3
    repository.update(change)
    with pytest.raises(ScanFailedError):
        read_report(report, set())
