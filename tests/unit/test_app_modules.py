"""The modules of the pages at /app: what they import is there, is preloaded, and is not too much."""

from __future__ import annotations

import json
import subprocess

import pytest

from handlers.pages.app_html import ENTRY
from handlers.pages.module_graph import (
    UnresolvedImportError,
    imported_by,
    imported_later,
    resolve,
    static_graph,
)
from handlers.pages.static_files import WEB, StaticFiles, read_static_files
from handlers.pages.vendored import FILES, IMPORTS
from tests.support.node import find_node

VENDORED = {name: f"vendor/{file}" for name, file in IMPORTS.items()}
#: Bytes by gzip: what is loaded before anything is shown, and that together with Ably's SDK.
FIRST_LOAD = 60 * 1024
WITH_REALTIME = 160 * 1024
#: Asks a true parser what modules import. It gets names and sources as JSON, and prints what each names.
_PARSER = """
const sources = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
const { SourceTextModule } = require("node:vm");
const found = {};
for (const [name, source] of Object.entries(sources)) {
  const module = new SourceTextModule(source, { identifier: name });
  found[name] = (module.moduleRequests ?? module.dependencySpecifiers).map((one) => one.specifier ?? one);
}
console.log(JSON.stringify(found));
"""


@pytest.fixture
def files(web_packages: None) -> StaticFiles:  # noqa: ARG001 - it installs
    return read_static_files()


def modules_of(files: StaticFiles) -> dict[str, bytes]:
    return {
        name: one.content
        for name, one in files.by_name.items()
        if one.media_type.startswith("text/javascript")
    }


def small(files: StaticFiles, names: list[str]) -> int:
    return sum(len(files.by_name[name].packed or files.by_name[name].content) for name in names)


def test_imports_are_found_as_a_parser_finds_them(files: StaticFiles) -> None:
    sources = {name: content.decode() for name, content in modules_of(files).items()}
    parsed = subprocess.run(
        [str(find_node()), "--experimental-vm-modules", "--no-warnings", "-e", _PARSER],
        input=json.dumps(sources),
        capture_output=True,
        text=True,
        check=True,
    )
    found = {name: sorted(set(imported_by(source))) for name, source in sources.items()}
    assert found == {name: sorted(set(named)) for name, named in json.loads(parsed.stdout).items()}


def test_what_modules_import_is_there(files: StaticFiles) -> None:
    modules = modules_of(files)
    own = {name: content.decode() for name, content in modules.items() if not name.startswith("vendor/")}
    lost = {
        f"{name}: {specifier}"
        for name, source in own.items()
        for specifier in (*imported_by(source), *imported_later(source))
        # Types in comments may name what only editors know.
        if resolve(specifier, name, VENDORED) not in modules
    }
    assert lost == set()


def test_what_is_shown_first_is_small(files: StaticFiles) -> None:
    graph = static_graph(ENTRY, modules_of(files), VENDORED)
    assert small(files, graph) <= FIRST_LOAD
    ably = static_graph(VENDORED["ably/modular"], modules_of(files), VENDORED)
    assert small(files, [*graph, *(name for name in ably if name not in graph)]) <= WITH_REALTIME


def test_a_clients_chat_is_small_with_all_that_it_needs(files: StaticFiles) -> None:
    entries = (ENTRY, "app/client/room.js", "app/client/chat_screen.js", "app/realtime.js")
    graphs = [static_graph(entry, modules_of(files), VENDORED) for entry in entries]
    needed = dict.fromkeys(name for graph in graphs for name in graph)
    assert small(files, list(needed)) <= WITH_REALTIME


def test_every_form_of_import() -> None:
    source = """
import a from "./a.js";
import * as b from './b.js'; import {c as d, e} from "./c.js"
import f, { g,
  h } from "../f.js";import"./i.js";export{j}from"./j.js";export * from "./k.js";
export * as l from "./l.js";
export const m = "./no.js"; export default "./no.js";
// import n from "./no.js";
/**
 * import o from "./no.js";
 */
const p = import("./later.js"), q = "import r from './no.js'", s = import.meta.url;
/** @type {import("./type.js").T} */
"""
    assert imported_by(source) == [f"./{one}.js" for one in ("a", "b", "c")] + ["../f.js"] + [
        f"./{one}.js" for one in ("i", "j", "k", "l")
    ]
    assert imported_later(source) == ["./later.js", "./type.js"]


def test_the_graph_is_walked_once_and_named_where_it_breaks() -> None:
    sources = {
        "app/main.js": b'import "./a.js";\nimport "x";',
        "app/a.js": b'import "../client/b.js";\nimport "./main.js";',
        "client/b.js": b"",
        "vendor/x.mjs": b'import "./y.mjs"',
        "vendor/y.mjs": b"",
    }
    assert static_graph("app/main.js", sources, {"x": "vendor/x.mjs"}) == [
        "app/main.js",
        "app/a.js",
        "vendor/x.mjs",
        "client/b.js",
        "vendor/y.mjs",
    ]
    with pytest.raises(UnresolvedImportError, match=r"app/main\.js imports x"):
        static_graph("app/main.js", sources, {})


def test_the_lock_file_names_no_host() -> None:
    lock = json.loads((WEB / "package-lock.json").read_text())
    assert all("resolved" not in one for one in lock["packages"].values())
    assert all("integrity" in one for name, one in lock["packages"].items() if name)


def test_what_is_served_is_asked_for_in_exact_versions() -> None:
    package = json.loads((WEB / "package.json").read_text())
    asked = package["dependencies"] | package["devDependencies"]
    lock = json.loads((WEB / "package-lock.json").read_text())["packages"]
    for name, version in asked.items():
        assert lock[f"node_modules/{name}"]["version"] == version
    for file in FILES:
        parts = file.split("/")
        assert "/".join(parts[: 2 if file.startswith("@") else 1]) in package["dependencies"]
