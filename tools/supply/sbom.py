"""Write the bill of materials of what is served, as CycloneDX 1.6.

Usage: python -m tools.supply.sbom FILE

It has what requirements.lock and web/package-lock.json pin, for every system, with the hashes that are
installed by. The same lock files give the same bytes: it has no date, and its serial number follows from the
rest. What a wheel carries inside, such as the libraries that read pictures, is not seen.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from rdchat import __version__
from tools.supply.lock_files import Package, npm_packages, package_url, python_packages

ROOT: Final = Path(__file__).parents[2]
_HASHES: Final = {"pypi": "SHA-256", "npm": "SHA-512"}


class InvalidBillError(Exception):
    """What was made is no valid CycloneDX."""


def bill_of(packages: list[Package], version: str = __version__) -> str:
    """Return the bill of materials of some packages."""
    root = package_url("generic", "rdchat", version)
    packages = sorted(packages, key=lambda package: package.url)
    bill: dict[str, Any] = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": root,
                "name": "rdchat",
                "version": version,
                "purl": root,
            }
        },
        "components": [_component(package) for package in packages],
        "dependencies": [
            {"ref": root, "dependsOn": [package.url for package in packages if package.direct]},
            *({"ref": package.url, "dependsOn": list(package.needs)} for package in packages),
        ],
    }
    bill["serialNumber"] = f"urn:uuid:{uuid5(NAMESPACE_URL, json.dumps(bill, sort_keys=True))}"
    return json.dumps(bill, indent=2, sort_keys=True) + "\n"


def validate(bill: str) -> None:
    """Hold a bill of materials to the schema. Raise InvalidBillError."""
    fault = JsonStrictValidator(SchemaVersion.V1_6).validate_str(bill)
    if fault is not None:
        raise InvalidBillError(str(fault))


def _component(package: Package) -> dict[str, Any]:
    group, _, name = package.name.rpartition("/")
    hashes = [{"alg": _HASHES[package.ecosystem], "content": one} for one in package.hashes]
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": package.url,
        "name": name,
        "version": package.version,
        "purl": package.url,
    }
    if group:
        component["group"] = group
    if package.license:
        component["licenses"] = [{"expression": package.license}]
    if package.marker:
        component["properties"] = [{"name": "rdchat:environment-marker", "value": package.marker}]
    if package.ecosystem == "npm":
        component["hashes"] = hashes
    else:
        # A version has a file for each system: none of these hashes is the component's own.
        component["externalReferences"] = [{"type": "distribution", "url": package.url, "hashes": hashes}]
    return component


def served_packages(root: Path = ROOT) -> list[Package]:
    """Return what the service and its pages load. Raise UnreadableLockError."""
    return [
        *python_packages(root / "requirements.lock"),
        *npm_packages(root / "web" / "package-lock.json", dev=False),
    ]


def main(file: Path) -> None:
    """Write the bill of materials into a file."""
    packages = served_packages()
    text = bill_of(packages)
    validate(text)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    sys.stdout.write(f"{file}: {len(packages)} packages, valid CycloneDX 1.6\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
