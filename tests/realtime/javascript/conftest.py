"""What runs the genuine JavaScript SDK under Node: the scenarios of `js/checks.mjs`, one process each."""

from __future__ import annotations

import asyncio
import inspect
import json
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.node import find_node, install

if TYPE_CHECKING:
    from rdchat.local.ably import AblyLocal

JAVASCRIPT = Path(__file__).parents[1] / "js"
PATIENCE = 30.0

MakeEndpoint = Callable[..., Awaitable["AblyLocal"]]
Mint = Callable[..., str]
Run = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture(scope="session")
def node() -> Path:
    """Where Node is."""
    found = find_node()
    if found is None:
        pytest.skip("Node is neither installed nor a package of this environment")
    return found


@dataclass
class Sdk:
    """Whether the SDK is installed: what npm said if it could not, and whether a test has told so yet."""

    fault: str = ""
    told: bool = False


@pytest.fixture(scope="session")
def sdk(node: Path) -> Sdk:
    """Install the SDK if that has not been done."""
    return Sdk(install(node, JAVASCRIPT))


@pytest.fixture(scope="module")
def directory() -> Iterator[Path]:
    """Where the browser keeps whatever it keeps: its profile, and what it would leave in a home."""
    made = Path(tempfile.mkdtemp(prefix="rdchat-browser-"))
    yield made
    try:
        shutil.rmtree(made)
    except OSError:
        # It was still being written to.
        shutil.rmtree(made)


@pytest.fixture
def run(node: Path, sdk: Sdk) -> Run:
    """Run one scenario of `checks.mjs` and return its outcome.

    `asked` holds what a scenario may ask for by its name: a function, awaited if it is one that must be.
    """
    if sdk.fault and sdk.told:
        pytest.skip("The SDK could not be installed; the first of these tests says why")
    if sdk.fault:
        sdk.told = True
        pytest.fail(sdk.fault, pytrace=False)

    async def scenario(
        name: str,
        endpoint: AblyLocal,
        fmt: str,
        *given: str,
        asked: Mapping[str, Callable[[], Any]] | None = None,
    ) -> dict[str, Any]:
        process = await asyncio.create_subprocess_exec(
            str(node),
            "checks.mjs",
            name,
            str(endpoint.port),
            fmt,
            *given,
            cwd=JAVASCRIPT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stderr is not None
        errors = asyncio.create_task(process.stderr.read())
        outcome: dict[str, Any] | None = None
        late = False
        try:
            async with asyncio.timeout(PATIENCE):
                outcome = await _outcome(process, asked or {})
                await process.wait()
        except TimeoutError:
            late = True
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
            said = (await errors).decode()
        assert not late, f"the scenario {name} did not end. {said}"
        assert process.returncode == 0, said
        assert outcome is not None
        return outcome

    return scenario


async def _outcome(
    process: asyncio.subprocess.Process, asked: Mapping[str, Callable[[], Any]]
) -> dict[str, Any] | None:
    """Do what the scenario asks for until it prints its outcome; None when it ends without."""
    assert process.stdin is not None
    assert process.stdout is not None
    while line := await process.stdout.readline():
        printed = json.loads(line)
        if "outcome" in printed:
            outcome: dict[str, Any] = printed["outcome"]
            return outcome
        answer = asked[printed["ask"]]()
        if inspect.isawaitable(answer):
            answer = await answer
        process.stdin.write(json.dumps(answer).encode() + b"\n")
        await process.stdin.drain()
    return None
