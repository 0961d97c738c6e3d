"""The bill of materials has all that lock files pin, follows from them alone, and is valid CycloneDX."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tools.supply import sbom
from tools.supply.lock_files import UnreadableLockError, npm_packages, python_packages
from tools.supply.sbom import ROOT, InvalidBillError, bill_of, served_packages

if TYPE_CHECKING:
    from pathlib import Path

HASH = "a" * 64


def test_all_that_is_pinned_is_in_it_and_hangs_together() -> None:
    bill = json.loads(bill_of(served_packages()))
    listed = {component["purl"] for component in bill["components"]}
    assert len(listed) == len(bill["components"])
    lock = (ROOT / "requirements.lock").read_text()
    pins = set(re.findall(r"^([\w.-]+)(?:\[.*\])?==([^\s;]+)", lock, re.MULTILINE))
    assert {
        (purl.split("/")[1].split("@")[0], purl.split("@")[-1]) for purl in listed if ":pypi/" in purl
    } == pins
    places = json.loads((ROOT / "web" / "package-lock.json").read_text())["packages"]
    served = [place for place, entry in places.items() if place and not entry.get("dev")]
    assert sum(":npm/" in purl for purl in listed) == len(served)
    assert not any("axe-core" in purl for purl in listed), "what only developing needs is not served"
    needs = {entry["ref"]: entry["dependsOn"] for entry in bill["dependencies"]}
    reached, ahead = set[str](), [bill["metadata"]["component"]["bom-ref"]]
    while ahead:
        new = set(needs[ahead.pop()]) - reached
        reached |= new
        ahead += new
    assert reached == listed
    assert all(
        component.get("hashes") or component["externalReferences"][0]["hashes"]
        for component in bill["components"]
    )


def test_the_same_lock_files_give_the_same_bytes_and_others_another_serial_number() -> None:
    packages = served_packages()
    assert bill_of(packages) == bill_of(packages[::-1])
    serials = {json.loads(bill_of(packages[start:]))["serialNumber"] for start in (0, 1)}
    assert len(serials) == 2


def test_what_is_no_cyclonedx_is_not_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "build" / "bill.json"
    of_pip, of_npm = served_packages()[0], served_packages()[-1]
    monkeypatch.setattr(sbom, "served_packages", lambda: [of_pip, of_npm])
    sbom.main(file)
    assert json.loads(file.read_text())["components"][0]["purl"] == of_npm.url
    file.unlink()
    monkeypatch.setattr(sbom, "served_packages", lambda: [replace(of_npm, hashes=("not a hash",))])
    with pytest.raises(InvalidBillError, match="not a hash"):
        sbom.main(file)
    assert not file.exists()


def test_who_asked_for_a_package_needs_it(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text(
        f"one==1.0 \\\n    --hash=sha256:{HASH} \\\n    --hash=sha256:{HASH[::-1]}\n"
        "    # via rdchat (pyproject.toml)\n"
        f"two[extra]==2.0 ; python_full_version < '3.12' \\\n    --hash=sha256:{HASH}\n"
        "    # via\n    #   -c requirements.lock\n    #   one\n    #   rdchat (pyproject.toml:dev)\n"
    )
    one, two = python_packages(lock)
    assert (one.needs, one.direct, len(one.hashes)) == (("pkg:pypi/two@2.0",), True, 2)
    assert (two.name, two.marker, two.needs, two.direct) == ("two", "python_full_version < '3.12'", (), True)


@pytest.mark.parametrize("text", ["one>=1.0\n", "one==1.0\n", "one==1.0 \\\n    # via two\n"])
def test_a_pin_without_version_or_hash_is_refused(tmp_path: Path, text: str) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text(text)
    with pytest.raises(UnreadableLockError):
        python_packages(lock)


def test_an_npm_package_needs_the_nearest_of_a_name(tmp_path: Path) -> None:
    def entry(version: str, **more: object) -> dict[str, object]:
        return {"version": version, "integrity": "sha512-" + "A" * 86 + "==", **more}

    lock = tmp_path / "package-lock.json"
    packages: dict[str, dict[str, object]] = {
        "": {"dependencies": {"@a/one": "1"}, "devDependencies": {"four": "4"}},
        "node_modules/@a/one": entry("1.0.0", dependencies={"two": "2", "three": "3"}, license="MIT"),
        "node_modules/@a/one/node_modules/two": entry("2.0.0"),
        "node_modules/two": entry("1.9.0"),
        "node_modules/three": entry("3.0.0", optionalDependencies={"two": "1", "absent": "1"}),
        "node_modules/four": entry("4.0.0", dev=True),
    }
    lock.write_text(json.dumps({"lockfileVersion": 3, "packages": packages}))
    found = {package.url: package for package in npm_packages(lock, dev=False)}
    assert found["pkg:npm/%40a/one@1.0.0"].needs == ("pkg:npm/three@3.0.0", "pkg:npm/two@2.0.0")
    assert found["pkg:npm/three@3.0.0"].needs == ("pkg:npm/two@1.9.0",)
    assert [url for url, package in found.items() if package.direct] == ["pkg:npm/%40a/one@1.0.0"]
    assert len(npm_packages(lock, dev=True)) == len(found) + 1
    packages["node_modules/two"]["integrity"] = "sha1-AAAA"
    lock.write_text(json.dumps({"lockfileVersion": 3, "packages": packages}))
    with pytest.raises(UnreadableLockError, match="no SHA-512"):
        npm_packages(lock, dev=False)
