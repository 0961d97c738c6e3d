"""Everything that the pages load, held in memory: read once, packed once, under one hash of all of it.

A file's name is its path below the hash: `app/main.js`, `client/rdchat.js`, `vendor/htm/dist/htm.mjs`. As the
folders lie there as they lie in `web/`, modules import one another by relative paths, and nothing is built.
"""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from handlers.pages.vendored import read_vendored

if TYPE_CHECKING:
    from collections.abc import Mapping

WEB: Final = Path(__file__).resolve().parents[2] / "web"
#: Own folders that are served. Files of other types in them, such as the template, are not.
_FOLDERS: Final = ("app", "client")
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}
_PACKED_ALREADY: Final = frozenset({"font/woff2", "image/png", "image/webp"})


@dataclass(frozen=True, slots=True)
class StaticFile:
    """One file. `packed` is it by gzip, None where that makes it no smaller; `tag` names its bytes."""

    content: bytes
    packed: bytes | None
    media_type: str
    tag: str


@dataclass(frozen=True, slots=True)
class StaticFiles:
    """All files by their names, and the hash of all of them."""

    hash: str
    by_name: Mapping[str, StaticFile]


def read_static_files(web: Path = WEB, packages: Path | None = None) -> StaticFiles:
    """Read everything from the folder of what browsers load, and from its `node_modules` or another one.

    It takes a tenth of a second, most of it for packing. Raise MissingPackagesError.
    """
    contents = {
        path.relative_to(web).as_posix(): path.read_bytes()
        for folder in _FOLDERS
        for path in sorted((web / folder).rglob("*"))
        if path.suffix in _TYPES and path.is_file()
    }
    vendored = read_vendored(packages or web / "node_modules")
    contents |= {f"vendor/{name}": content for name, content in vendored.items()}
    return StaticFiles(
        _hash(contents),
        {name: pack(contents[name], _TYPES[PurePosixPath(name).suffix]) for name in contents},
    )


def pack(content: bytes, media_type: str) -> StaticFile:
    """Make what is served of a file."""
    packed = None
    if media_type not in _PACKED_ALREADY:
        # No time in it: every replica packs to the same bytes.
        packed = gzip.compress(content, mtime=0)
        if len(packed) >= len(content):
            packed = None
    return StaticFile(content, packed, media_type, hashlib.sha256(content).hexdigest()[:32])


def _hash(contents: Mapping[str, bytes]) -> str:
    total = hashlib.sha256()
    for name, content in sorted(contents.items()):
        total.update(f"{name}\0{len(content)}\0".encode())
        total.update(content)
    return total.hexdigest()[:20]
