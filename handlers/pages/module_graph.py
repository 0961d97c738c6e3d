"""Which modules a module loads before it runs: those that it imports, and those that these import."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

#: A statement stands at the start of a line, or behind the one before; in comments, a star is before it.
_STATEMENT: Final = re.compile(
    r"""(?:^|[;}])[ \t]*(?:import|export)\b\s*(?:[\w$\s{},*]+?\bfrom\s*|[\w$\s{},*]+?\}\s*from\s*)?"""
    r"""(?P<quote>["'])(?P<name>[^"'\n]+)(?P=quote)""",
    re.MULTILINE,
)
_CALL: Final = re.compile(r"""\bimport\s*\(\s*(?P<quote>["'])(?P<name>[^"'\n]+)(?P=quote)\s*\)""")


class UnresolvedImportError(Exception):
    """A module imports what is not there."""


def imported_by(source: str) -> list[str]:
    """List what a module's import statements name, and its `export ... from`; not what `import()` does."""
    return [found["name"] for found in _STATEMENT.finditer(source)]


def imported_later(source: str) -> list[str]:
    """List what a module may load as it runs, by `import("...")`. One in a comment counts as well."""
    return [found["name"] for found in _CALL.finditer(source)]


def resolve(specifier: str, importer: str, imports: Mapping[str, str]) -> str:
    """Return the name of the file that an import means: relative to its importer, or by the import map."""
    if specifier.startswith(("./", "../")):
        return posixpath.normpath(posixpath.join(posixpath.dirname(importer), specifier))
    return imports.get(specifier, specifier)


def static_graph(entry: str, sources: Mapping[str, bytes], imports: Mapping[str, str]) -> list[str]:
    """List the files that a module needs in order to run, itself first, then nearer ones before farther ones.

    Raise UnresolvedImportError.
    """
    found = [entry]
    for name in found:  # it grows while it is walked
        for specifier in imported_by(sources[name].decode()):
            needed = resolve(specifier, name, imports)
            if needed not in sources:
                raise UnresolvedImportError(f"{name} imports {specifier}, which is not there")
            if needed not in found:
                found.append(needed)
    return found
