"""Which files of npm packages the pages load. Only these are read, and served as they were published."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

#: What modules name in their imports, and the file of a package that it stands for.
IMPORTS: Final = {
    "@preact/signals": "@preact/signals/dist/signals.mjs",
    "@preact/signals-core": "@preact/signals-core/dist/signals-core.mjs",
    "ably/modular": "ably/build/modular/index.mjs",
    "htm": "htm/dist/htm.mjs",
    "jwt-decode": "jwt-decode/build/esm/index.js",  # what oidc-client-ts imports
    "oidc-client-ts": "oidc-client-ts/dist/esm/oidc-client-ts.js",
    "preact": "preact/dist/preact.mjs",
    "preact/hooks": "preact/hooks/dist/hooks.mjs",
    "uplot": "uplot/dist/uPlot.esm.js",
}
#: Inter, for Latin alone and in all its weights.
FONT: Final = "@fontsource-variable/inter/files/inter-latin-wght-normal.woff2"
FILES: Final = (*IMPORTS.values(), FONT, "uplot/dist/uPlot.min.css")
#: What installs the packages.
COMMAND: Final = "make web"


class MissingPackagesError(Exception):
    """Files of npm packages are not there. `files` names them, each by its package and its path in it."""

    def __init__(self, files: list[str]) -> None:
        super().__init__(f"{', '.join(files)}: not installed; `{COMMAND}` brings them")
        self.files = files


def missing(packages: Path) -> list[str]:
    """List the files that a folder `node_modules` lacks."""
    return [file for file in FILES if not (packages / file).is_file()]


def read_vendored(packages: Path) -> dict[str, bytes]:
    """Read the files from a folder `node_modules`. Raise MissingPackagesError."""
    if absent := missing(packages):
        raise MissingPackagesError(absent)
    return {file: (packages / file).read_bytes() for file in FILES}
