#!/usr/bin/env python3
"""Print the folders of the project as a table of contents, or renew it in a page.

Usage: map.py [PAGE], where PAGE has the two markers between which the list stands.

A package is described by the first line of its docstring, any other folder by the table below. It needs git
and the standard library only.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path, PurePosixPath
from typing import Final

ROOT: Final = Path(__file__).parents[1]
BEGIN: Final = "<!-- map: `make docs` writes these lines -->"
END: Final = "<!-- end of map -->"
#: Folders that are no packages.
_OTHERS: Final = {
    ".ci": "What continuous integration runs.",
    "benchmarks/results": "The last results, as JSON.",
    "docs": "Pages for users, operators and contributors.",
    "docs/decisions": "Decisions that were not obvious, and the reasons for them.",
    "docs/images": "Pictures of the pages.",
    "rdchat/postgres/migrations": "The schema, step by step, as numbered SQL files.",
    "tests/api": "A replica over HTTP: one file per resource or rule.",
    "tests/browser": "The pages at `/app` in a real browser: sessions, faults, keyboard, readers of screens.",
    "tests/chaos": "Faults: killed replicas, hanging and emptied stores, late timers.",
    "tests/e2e": "The command line, several processes and the demo.",
    "tests/integration": "One part at a time, on real servers.",
    "tests/integration/embedded": "The private PostgreSQL and Valkey: accounts, crashes, leftovers.",
    "tests/realtime": "The local Ably endpoint, with Ably's Python SDK.",
    "tests/realtime/javascript": "The same with Ably's JavaScript SDK, under Node and in a browser.",
    "tests/realtime/javascript/client": "Parts of the reference client and of the pages alone, under Node.",
    "tests/realtime/js": "The scripts that those tests run.",
    "tests/e2e/typescript": "A client in TypeScript that one of them compiles and runs.",
    "tests/security": "Attacks on the service and its stores, counted: `make security` shows them.",
    "tests/unit": "Tests without servers.",
    "tests/unit/desk": "The modules of the desk alone, under Node.",
    "tools": "Small programs for development; but for the package in it, on the standard library alone.",
    "web": "What browsers load.",
    "web/app": "The pages at `/app`, as modules that browsers load as they are.",
    "web/app/chat": "A chat as both of its people see it: messages, what is written, waiting and the end.",
    "web/app/client": "The client's page: what is ahead, booking, and the chat.",
    "web/app/console": "The console of those who run or oversee the service: numbers and states, no content.",
    "web/app/desk": "The psychologist's desk: days, chats side by side, notes, quick replies, working hours.",
    "web/app/diagram": "The state machine of a session as a picture that lives, and its replay.",
    "web/app/sign_in": "Signing in at an identity provider.",
    "web/app/start": "What is there before one has signed in: who one is, and a session to look at.",
    "web/app/style": "What all pages look like.",
    "web/app/ui": "What screens are made of: buttons, fields, dialogs, frames, times.",
    "web/client": "The reference client: what every frontend must get right, without dependencies.",
    "web/docs": "The page at `/docs`.",
    "web/home": "The page at `/`.",
}
#: Folders whose own line also stands for everything below them.
_CLOSED: Final = ("benchmarks/peers",)


class UndescribedFolderError(Exception):
    """A folder has neither a docstring nor a line in the table."""


def folders(files: list[str]) -> list[str]:
    """Return the folders that hold files, and those above them, without what lies in closed ones."""
    found = {str(folder) for file in files for folder in PurePosixPath(file).parents} - {"."}
    return sorted(
        (one for one in found if not one.startswith(tuple(f"{closed}/" for closed in _CLOSED))),
        key=lambda one: one.split("/"),
    )


def description(root: Path, folder: str) -> str:
    """Return the line on a folder. Raise UndescribedFolderError if there is none."""
    package = root / folder / "__init__.py"
    text = ast.get_docstring(ast.parse(package.read_text(encoding="utf-8"))) if package.exists() else None
    line = text.partition("\n")[0] if text else _OTHERS.get(folder)
    if line is None:
        raise UndescribedFolderError(
            f"{folder}: give the package a docstring, or the folder a line in tools/map.py"
        )
    return line


def contents(root: Path = ROOT) -> str:
    """Return the map of the files that git knows, as a nested Markdown list."""
    listed = subprocess.run(  # noqa: S603 - git with our own arguments
        ["git", "-C", str(root), "ls-files", "-z"],  # noqa: S607 - the git that the developer uses
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    lines = []
    for folder in folders(listed.strip("\0").split("\0")):
        depth, name = folder.count("/"), folder.rpartition("/")[2]
        lines.append(f"{'  ' * depth}- `{name}/` {description(root, folder)}\n")
    return "".join(lines)


def renewed(page: str, listing: str) -> str:
    """Return the page with the list between its two markers. Raise ValueError without them."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"The page lacks {BEGIN!r} or {END!r}.")
    return f"{before}{begin}\n\n{listing}\n{end}{after}"


def main(arguments: list[str]) -> None:
    """Print the map, or write it into the page that is named."""
    if not arguments:
        sys.stdout.write(contents())
        return
    page = Path(arguments[0])
    page.write_text(renewed(page.read_text(encoding="utf-8"), contents()), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
