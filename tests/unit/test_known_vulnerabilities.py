"""Advisories: what is found fails, and what could not be asked is never told as nothing found."""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from tools.supply import ask_npm, ask_pip_audit
from tools.supply.advisories import FOUND, NOT_CHECKED, answered
from tools.supply.answers import Advisory, NoAnswerError
from tools.supply.exceptions import Accepted
from tools.supply.lock_files import Package

if TYPE_CHECKING:
    from pathlib import Path

TODAY = date(2026, 11, 28)
BAD = Advisory("jinja2", "2.10", ("PYSEC-2019-217", "CVE-2019-10906"), ("2.10.1",))
SKIPPED = {
    "name": "ably",
    "skip_reason": "Dependency not found on PyPI and could not be audited: ably (3.1.4)",
}
CLEAN = {"name": "ably", "version": "3.1.4", "vulns": []}
VULNERABLE = {
    "name": "jinja2",
    "version": "2.10",
    "vulns": [{"id": "PYSEC-2019-217", "aliases": ["CVE-2019-10906"], "fix_versions": ["2.10.1"]}],
}


def audited(*entries: dict[str, Any]) -> str:
    return json.dumps({"dependencies": entries, "fixes": []})


def test_what_pip_audit_found_is_told_by_all_its_names() -> None:
    assert ask_pip_audit.read_report(audited(CLEAN, VULNERABLE), "", asked=2) == [BAD]
    assert ask_pip_audit.read_report(audited(CLEAN), "No known vulnerabilities found", asked=1) == []


@pytest.mark.parametrize(
    ("report", "said"),
    [
        (audited(SKIPPED), "No known vulnerabilities found"),
        (audited(CLEAN, SKIPPED), "No known vulnerabilities found"),
        (audited(CLEAN), "No known vulnerabilities found"),
        ("", "requests.exceptions.ConnectionError: no route"),
        ("[", ""),
        ("{}", ""),
    ],
)
def test_what_pip_audit_skipped_was_not_checked(report: str, said: str) -> None:
    with pytest.raises(NoAnswerError):
        ask_pip_audit.read_report(report, said, asked=2)


def test_a_service_is_believed_once_it_names_what_has_long_been_known(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[tuple[str, list[str]]] = []
    known: dict[str, list[Advisory]] = {"pypi": [], "osv": [BAD]}

    def audit(pins: list[str], service: tuple[str, ...], _scratch: Path) -> list[Advisory]:
        asked.append((service[-1], pins))
        return known[service[-1]] if pins == [ask_pip_audit.CONTROL] else []

    monkeypatch.setattr(ask_pip_audit, "_audit", audit)
    pins = (("av", "18"), ("av", "19"), ("a", "1"))
    packages = [Package("pypi", name, version, ()) for name, version in pins]
    assert ask_pip_audit.known_vulnerabilities([*packages, packages[0]], tmp_path) == []
    control = [ask_pip_audit.CONTROL]
    assert asked == [("pypi", control), ("osv", control), ("osv", ["av==18", "a==1"]), ("osv", ["av==19"])]
    known["osv"] = []
    with pytest.raises(NoAnswerError, match=r"pypi: knows nothing of jinja2==2.10.*; osv: knows nothing"):
        ask_pip_audit.known_vulnerabilities(packages, tmp_path)


def test_what_npm_found_is_told_once_and_by_its_cause() -> None:
    report = {
        "auditReportVersion": 2,
        "vulnerabilities": {
            "lodash": {
                "range": "",
                "via": [{"range": "<4.17.12", "url": "https://github.com/advisories/GHSA-jf85-cpcp-j695"}],
            },
            "needs-lodash": {"range": "*", "via": ["lodash"]},
        },
    }
    assert ask_npm.read_report(json.dumps(report)) == [
        Advisory("lodash", "<4.17.12", ("GHSA-jf85-cpcp-j695",))
    ]


@pytest.mark.parametrize(
    "report", ["", "{}", '{"message": "405 Method Not Allowed"}', '{"vulnerabilities": {}}']
)
def test_what_npm_could_not_ask_was_not_checked(report: str) -> None:
    with pytest.raises(NoAnswerError):
        ask_npm.read_report(report)


def test_npm_is_believed_once_it_names_what_has_long_been_known(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pinned = Advisory("lodash", "4.17.4", ("GHSA-jf85-cpcp-j695",))
    answers = {tmp_path / "scratch": [pinned], tmp_path / "web": []}
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(ask_npm, "find_npm", lambda _: ["npm"])
    monkeypatch.setattr(ask_npm, "_audit", lambda _, folder: answers[folder])
    assert ask_npm.known_vulnerabilities(tmp_path / "web", tmp_path / "scratch") == []
    answers[tmp_path / "scratch"] = []
    with pytest.raises(NoAnswerError, match=r"knows nothing of lodash 4\.17\.4"):
        ask_npm.known_vulnerabilities(tmp_path / "web", tmp_path / "scratch")


def refuse(_scratch: Path) -> list[Advisory]:
    raise NoAnswerError("no route")


@pytest.mark.parametrize(
    ("ask", "strict", "status", "says"),
    [
        (lambda _: [], True, 0, "5 packages: no known vulnerabilities"),
        (
            lambda _: [BAD],
            False,
            FOUND,
            "VULNERABLE: jinja2 2.10: PYSEC-2019-217, CVE-2019-10906; fixed in 2.10.1",
        ),
        (refuse, False, 0, "WARNING: 5 packages: NOT CHECKED"),
        (refuse, True, NOT_CHECKED, "ERROR: 5 packages: NOT CHECKED"),
    ],
)
def test_what_is_said_and_how_it_ends(ask: Any, strict: bool, status: int, says: str) -> None:  # noqa: FBT001
    text, ended = answered([("5 packages", ask)], [], TODAY, strict=strict)
    assert ended == status
    assert says in text
    assert ("no known" in text) == (status == 0 and ask is not refuse), "what was not asked is not clean"


def test_what_was_found_fails_though_another_did_not_answer() -> None:
    assert answered([("others", refuse), ("these", lambda _: [BAD])], [], TODAY, strict=False)[1] == FOUND


def test_an_advisory_is_accepted_for_a_time_and_not_without_need() -> None:
    accepted = Accepted("CVE-2019-10906", "templates are ours", TODAY)
    assert answered([("these", lambda _: [BAD])], [accepted], TODAY, strict=True)[1] == 0
    later = TODAY.replace(day=29)
    assert answered([("these", lambda _: [BAD])], [accepted], later, strict=True)[1] == FOUND
    text, status = answered([("these", lambda _: [])], [accepted], TODAY, strict=True)
    assert (status, "take it out" in text) == (FOUND, True)
    assert answered([("these", refuse)], [accepted], TODAY, strict=False)[1] == 0, "it may well be there"
