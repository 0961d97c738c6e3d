"""The OpenAPI document in TypeScript: types are generated from it, a client is compiled and run."""

from __future__ import annotations

import asyncio
import json
import shutil
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
import pytest

from handlers.server.application import api_document
from tests.support.node import find_node, install
from tests.support.soon import in_days

if TYPE_CHECKING:
    from tests.support.service import Service

TYPESCRIPT = Path(__file__).with_name("typescript")
CLIENT = Path(__file__).parents[2] / "web" / "client"
PAGES = CLIENT.with_name("app")


async def _run(*command: str | Path, cwd: Path) -> str:
    process = await asyncio.create_subprocess_exec(*map(str, command), cwd=cwd, stdout=PIPE, stderr=STDOUT)
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    return said.decode()


@pytest.mark.timeout(240)
async def test_a_client_is_compiled_strictly_and_does_its_work(service: Service, tmp_path: Path) -> None:
    node = find_node()
    if node is None:
        pytest.skip("Node is neither installed nor a package of this environment")
    fault = await asyncio.to_thread(install, node, TYPESCRIPT)
    assert not fault, fault
    for name in ("client.ts", "tsconfig.json", "package.json"):
        shutil.copy(TYPESCRIPT / name, tmp_path)
    packages = tmp_path / "node_modules"
    packages.symlink_to(TYPESCRIPT / "node_modules")
    (tmp_path / "openapi.json").write_bytes(orjson.dumps(api_document()))
    generate = packages / "openapi-typescript" / "bin" / "cli.js"
    await _run(node, generate, "openapi.json", "-o", "schema.d.ts", cwd=tmp_path)
    # Its options are the strictest ones; what must not compile is marked in it.
    await _run(node, packages / "typescript" / "bin" / "tsc", "-p", ".", cwd=tmp_path)

    for name in ("Sari", "Ayu", "Maya"):
        await service.psychologist(name)
    client = service.person()
    days = [f"{in_days(number):%Y-%m-%d}" for number in (30, 31)]
    said = await _run(node, "client.ts", service.base, client.token, *days, cwd=tmp_path)
    done = json.loads(said.splitlines()[-1])
    assert done.pop("booked").startswith(f"{in_days(29):%Y-%m-%d}T17:00"), "midnight in Jakarta"
    assert done == {
        "psychologists": ["Ayu", "Maya", "Sari"],
        "with": ["Ayu", "Maya", "Sari"],
        "sessions": [None],
        "told": ["counseling_booked"],
        "refused": "CHAT_NOT_ENABLED",
    }


@pytest.mark.usefixtures("web_packages")
async def test_the_reference_client_and_the_pages_keep_to_their_types() -> None:
    node = find_node()
    if node is None:
        pytest.skip("Node is neither installed nor a package of this environment")
    fault = await asyncio.to_thread(install, node, TYPESCRIPT)
    assert not fault, fault
    modules = sorted((*CLIENT.glob("*.js"), *PAGES.rglob("*.js")))
    assert modules
    options = ["--noEmit", "--allowJs", "--checkJs", "--strict", "--target", "es2022", "--module", "es2022"]
    options += ["--moduleResolution", "bundler", "--skipLibCheck", "--lib", "es2022,dom,dom.iterable"]
    compiler = TYPESCRIPT / "node_modules" / "typescript" / "bin" / "tsc"
    await _run(node, compiler, *options, *modules, cwd=TYPESCRIPT)
