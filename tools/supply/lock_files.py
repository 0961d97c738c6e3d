"""What the lock files pin: that of pip for the service, that of npm for the pages."""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_PIN: Final = re.compile(r"(?P<name>[\w.-]+)(?:\[[\w,.-]+\])?==(?P<version>[^\s;]+)(?: ; (?P<marker>.+))? \\")
_HASH: Final = re.compile(r"--hash=sha256:([0-9a-f]{64})")
#: Who asked for a package, below it: one after `via`, or several on lines of their own.
_ASKED_BY: Final = re.compile(r"^    # (?:via (?=\S)|  )(?P<name>[\w.-]+)(?: \(.+\))?$", re.MULTILINE)
_NPM_VERSION: Final = 3


class UnreadableLockError(Exception):
    """A lock file has a form that is not understood."""


@dataclass(frozen=True)
class Package:
    """A package, as a lock file pins it."""

    #: `pypi` or `npm`, as in package URLs.
    ecosystem: str
    name: str
    version: str
    #: SHA-256 of each of a Python package's files, SHA-512 of an npm package's only one; in hex.
    hashes: tuple[str, ...]
    #: The package URLs of the packages that it needs; of those of pip, all that are pinned for some system.
    needs: tuple[str, ...] = ()
    #: The Python and the system that it is for; without one, all.
    marker: str = ""
    license: str = ""
    #: Whether a lock file's own project asks for it.
    direct: bool = False

    @property
    def url(self) -> str:
        """Return the package URL, by which advisories and other programs know it."""
        return package_url(self.ecosystem, self.name, self.version)


def package_url(ecosystem: str, name: str, version: str) -> str:
    """Return the package URL of a version."""
    return f"pkg:{ecosystem}/{quote(name, safe='/')}@{version}"


def python_packages(lock: Path, project: str = "rdchat") -> list[Package]:
    """Return what a lock file of pip pins. Raise UnreadableLockError."""
    pinned: list[tuple[re.Match[str], str]] = []
    for block in re.split(r"^(?=\S)", lock.read_text(encoding="utf-8"), flags=re.MULTILINE):
        if not block.strip() or block.startswith("#"):
            continue
        pin = _PIN.match(block)
        if pin is None or _HASH.search(block) is None:
            raise UnreadableLockError(f"{lock}: no version with hashes: {block.partition(chr(10))[0]!r}")
        pinned.append((pin, block))
    asked_by = [{asking["name"] for asking in _ASKED_BY.finditer(block)} for _, block in pinned]
    urls = [package_url("pypi", pin["name"], pin["version"]) for pin, _ in pinned]
    return [
        Package(
            "pypi",
            pin["name"],
            pin["version"],
            tuple(_HASH.findall(block)),
            needs=tuple(
                sorted(url for url, asking in zip(urls, asked_by, strict=True) if pin["name"] in asking)
            ),
            marker=pin["marker"] or "",
            direct=project in asking_for_it,
        )
        for (pin, block), asking_for_it in zip(pinned, asked_by, strict=True)
    ]


def npm_packages(lock: Path, *, dev: bool) -> list[Package]:
    """Return what a lock file of npm pins, on demand for developing too. Raise UnreadableLockError."""
    content = json.loads(lock.read_text(encoding="utf-8"))
    if content.get("lockfileVersion") != _NPM_VERSION:
        raise UnreadableLockError(f"{lock}: lockfileVersion is not {_NPM_VERSION}")
    places: dict[str, dict[str, Any]] = content["packages"]
    root = places[""]
    direct = {*root.get("dependencies", {}), *(root.get("devDependencies", {}) if dev else {})}
    found = []
    for place, entry in places.items():
        if not place or (entry.get("dev") and not dev):
            continue
        name = _name_at(place)
        algorithm, _, digest = str(entry.get("integrity")).partition("-")
        if algorithm != "sha512":
            raise UnreadableLockError(f"{lock}: {place} has no SHA-512")
        needed = {**entry.get("dependencies", {}), **entry.get("optionalDependencies", {})}
        found.append(
            Package(
                "npm",
                name,
                entry["version"],
                (binascii.hexlify(base64.b64decode(digest)).decode(),),
                needs=tuple(
                    sorted(set(_resolved(places, place, [*needed, *entry.get("peerDependencies", {})])))
                ),
                license=entry.get("license", ""),
                direct=place == f"node_modules/{name}" and name in direct,
            )
        )
    return found


def _name_at(place: str) -> str:
    return place.rpartition("node_modules/")[2]


def _resolved(places: dict[str, dict[str, Any]], place: str, names: Iterable[str]) -> Iterable[str]:
    """Yield the package URLs of what a package loads by name: the nearest, from its own folder upwards."""
    for name in names:
        folder = place
        while True:
            candidate = f"{folder}/node_modules/{name}".lstrip("/")
            if candidate in places:
                yield package_url("npm", name, places[candidate]["version"])
                break
            if not folder:
                break  # optional, and not there
            folder = folder.rpartition("node_modules/")[0].rstrip("/")
