"""What every test can ask for: real stores, started once, a fresh database and Redis for each test."""

from __future__ import annotations

import asyncio
import functools
import gc
import itertools
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
import psutil
import pytest
import redis.asyncio
import redis.utils
from httpx._transports import default as transports

from handlers.pages.static_files import WEB
from rdchat.common.telemetry import configure_logging
from rdchat.local.stores import EmbeddedPostgres, EmbeddedRedis
from rdchat.redis import rates
from tests.support import spoken
from tests.support.browser import NAMES, find_browser
from tests.support.database_users import OWNER, as_service, make_tables
from tests.support.node import find_node, install
from tests.support.receiver import Receiver
from tests.support.service import Service, service_settings
from tests.support.watchdog import Watchdog, time_limit

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Iterator

#: How much memory has to be free for temporary files to lie in it.
_AMPLE = 8 * 1024**3


def _write_in_memory(place: str = "/dev/shm") -> None:  # noqa: S108 - made as any temporary directory is
    """Let temporary files, databases above all, lie in memory where it is ample: they are thrown away.

    Each test's database is three hundred files that are made and removed. TMPDIR says where else.
    """
    if "TMPDIR" in os.environ or not os.access(place, os.W_OK | os.X_OK):
        return
    forbids_programs = os.statvfs(place).f_flag & os.ST_NOEXEC
    room = min(shutil.disk_usage(place).free, psutil.virtual_memory().available)
    if not forbids_programs and room > _AMPLE:
        os.environ["TMPDIR"] = tempfile.tempdir = place


_write_in_memory()

#: Templates are kept between runs: a new PostgreSQL then takes half a second.
_TEMPLATES = Path(tempfile.gettempdir()) / f"rdchat-test-templates-{os.getuid()}"
_numbers = itertools.count(1)


@functools.cache
def _read_certificates(_file: str | None, **options: Any) -> ssl.SSLContext:
    return _create_ssl_context(**options)


# Each service makes an HTTP client for Ably, which reads the certificates of all authorities: 57 ms.
_create_ssl_context = transports.create_ssl_context  # type: ignore[attr-defined]
transports.create_ssl_context = lambda **options: _read_certificates(  # type: ignore[attr-defined]
    os.environ.get("SSL_CERT_FILE"), **options
)

# Each connection to Redis says which client it is, and looks that up in the files of all packages: 4 ms.
redis.utils.get_lib_version = functools.cache(redis.utils.get_lib_version)


def pytest_collection_finish(session: pytest.Session) -> None:
    """See that groups hold, and take what was imported so far out of the garbage collector's sight.

    Tests of a group that run beside each other, browsers above all, are too much for a small machine.
    A version of pytest has undone the groups without a word.

    Every test ends with a collection, so that what it leaked shows: a thousandth of a second instead of a
    twentieth, when modules, schemas and test functions are not looked through each time.
    """
    if session.config.getoption("loadgroup", False):
        grouped = [item for item in session.items if item.get_closest_marker("xdist_group")]
        assert all("@" in item.nodeid for item in grouped), "pytest-xdist keeps no groups"
    gc.collect()
    gc.freeze()


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name files that tests are given by what they are given as: each worker makes its own."""
    return argname if isinstance(val, bytes) else None


_watchdog = Watchdog()
#: Where this process reports to: a worker does not.
_terminal: pytest.TerminalReporter | None = None
_failed: list[str] = []


def pytest_sessionstart(session: pytest.Session) -> None:
    global _terminal  # noqa: PLW0603 - hooks of a conftest share nothing else
    if not hasattr(session.config, "workerinput"):
        _terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    _watchdog.start()
    # As the service has it. The default draws each traceback with all variables: seconds of a processor.
    configure_logging("text")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    _watchdog.expect_end(item.nodeid, time_limit(item))
    result = yield
    _watchdog.ended()
    return result


@pytest.hookimpl(trylast=True)
def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Say at once what has failed: a run that is stopped never comes to its summary."""
    if report.failed and _terminal is not None:
        _failed.append(report.nodeid)
        reason = getattr(getattr(report.longrepr, "reprcrash", None), "message", "")
        _terminal.ensure_newline()
        _terminal.write_line(f"{report.nodeid} ({report.when}): {reason.partition(chr(10))[0][:200]}")


def pytest_sessionfinish() -> None:
    """Write to the file FAILED_TESTS what has failed, without the groups of pytest-xdist."""
    if _terminal is not None and (file := os.environ.get("FAILED_TESTS")):
        names = [name if name.rfind("@") <= name.rfind("]") else name.rpartition("@")[0] for name in _failed]
        Path(file).write_text("".join(f"{name}\n" for name in dict.fromkeys(names)), encoding="utf-8")


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    # TEST_POSTGRES_URL names one that already runs, and is used by one run of tests after another.
    if running := os.environ.get("TEST_POSTGRES_URL"):
        yield running
        return
    server = EmbeddedPostgres(
        tmp_path_factory.mktemp("pg"),
        # Nothing survives this server: it writes no more to its log than it needs while it runs.
        settings={
            "fsync": "off",
            "full_page_writes": "off",
            "wal_level": "minimal",
            "max_wal_senders": "0",
            "max_wal_size": "256MB",
            "max_connections": "200",
        },
        template=_TEMPLATES / "postgres",
    )
    yield server.start()
    server.stop()


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    # TEST_REDIS_URL names one that already runs: it is emptied before each test.
    if running := os.environ.get("TEST_REDIS_URL"):
        yield running
        return
    # TEST_REDIS_SERVER names another server's binary, for instance a plain redis-server.
    server = EmbeddedRedis(
        tmp_path_factory.mktemp("redis"), binary=os.environ.get("TEST_REDIS_SERVER") or None
    )
    yield server.start()
    server.stop()


@pytest.fixture(scope="session")
def web_packages() -> None:
    """Install what the pages at /app load of npm packages, if that has not been done."""
    node = find_node()
    if node is None:
        pytest.skip("Node is neither installed nor a package of this environment")
    fault = install(node, WEB)
    if fault:
        pytest.fail(fault)


@pytest.fixture(scope="session")
def browser() -> str:
    """Where a real browser is. Without one its tests show nothing: in CI that is a failure."""
    found = find_browser()
    if found is not None:
        return found
    said = f"No browser is installed (none of {', '.join(NAMES)} is on PATH)"
    if os.environ.get("CI") == "true":
        pytest.fail(f"{said}: what happens in one is not shown", pytrace=False)
    pytest.skip(f"{said}; `make browser` installs one")


@pytest.fixture(scope="session")
def migrated_template(postgres_server: str) -> str:
    """A database with roles and schema in it, which each test's database is copied from."""

    async def prepare() -> None:
        admin = await asyncpg.connect(postgres_server)
        ready = await admin.fetchval("SELECT count(*) FROM pg_database WHERE datname = 'rdchat_template'")
        if not ready:
            await admin.execute("CREATE DATABASE rdchat_template")
        await admin.close()
        if ready:
            return
        await make_tables(at_database(postgres_server, "rdchat_template"))

    asyncio.run(prepare())
    return "rdchat_template"


def at_database(url: str, name: str) -> str:
    head, question, options = url.partition("?")
    return f"{head.rpartition('/')[0]}/{name}{question}{options}"


@pytest.fixture
async def empty_url(postgres_server: str) -> AsyncIterator[str]:
    """The superuser's address of a database with nothing in it."""
    name = f"empty_{os.getpid()}_{next(_numbers)}"
    admin = await asyncpg.connect(postgres_server)
    await admin.execute(f"CREATE DATABASE {name}")
    yield at_database(postgres_server, name)
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()


@pytest.fixture
async def database_url(postgres_server: str, migrated_template: str) -> AsyncIterator[str]:
    """A database of the test's own, as the service sees it: see `tests/support/database_users.py`."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    admin = await asyncpg.connect(postgres_server)
    # Its files are copied as they are; PostgreSQL would write each block to its log first.
    await admin.execute(
        f"CREATE DATABASE {name} TEMPLATE {migrated_template} STRATEGY FILE_COPY OWNER {OWNER.name}"
    )
    # What is granted on a database itself is not copied with it.
    await admin.execute(f"REVOKE TEMPORARY ON DATABASE {name} FROM PUBLIC")
    yield as_service(at_database(postgres_server, name))
    await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()


@pytest.fixture
async def redis_url(redis_server: str) -> AsyncIterator[str]:
    client = redis.asyncio.Redis.from_url(redis_server)
    await client.flushall()
    yield redis_server
    await client.aclose()


@pytest.fixture
async def service(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    database_url: str,
    redis_url: str,
    tmp_path: Path,
) -> AsyncIterator[Service]:
    """A whole replica on real stores, in this process, with its HTTP edge on a free port.

    A test that is marked by `spoken.both` runs with a dialect on as well.
    """
    if (dialect := getattr(request, "param", None)) is not None:
        monkeypatch.setattr(spoken, "DIALECT", dialect)
    settings = service_settings(tmp_path)
    async with Service.running(settings, database_url=database_url, redis_url=redis_url) as running:
        yield running


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver.running() as running:
        yield running


@pytest.fixture
def patient_with_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let calls near a limit wait for Redis.

    On a busy machine one that gives up counts for itself, which lets one too many pass.
    """
    monkeypatch.setattr(rates, "_ASK_SECONDS", 30.0)


@pytest.fixture(autouse=True)
async def nothing_is_left_behind() -> AsyncIterator[None]:
    """Fail a test that leaks a task or a process."""
    processes = _descendants(os.getpid())
    before = asyncio.all_tasks()
    yield
    gc.collect()
    # What is left lives on; looking through it again would make each collection longer than the last.
    gc.freeze()
    # Tasks that were cancelled just now get the few rounds that they need to end.
    for _ in range(20):
        leaked = {task for task in asyncio.all_tasks() - before if _is_ours(task)}
        if not leaked:
            break
        await asyncio.sleep(0)
    assert not leaked, f"the test leaks tasks: {leaked}"
    started = [_describe(pid) for pid in _descendants(os.getpid()) - processes if not _is_store(pid)]
    assert not started, f"the test leaks processes: {started}"


def _descendants(pid: int) -> set[int]:
    """List the processes below one, as the kernel lists them: psutil reads through all of the machine's."""
    if not Path("/proc/self/task").exists():
        return {child.pid for child in psutil.Process(pid).children(recursive=True)}
    try:
        texts = [(task / "children").read_text() for task in Path(f"/proc/{pid}/task").iterdir()]
    except OSError:
        # It has ended.
        return set()
    children = {int(child) for text in texts for child in text.split()}
    return children.union(*(_descendants(child) for child in children))


def _is_ours(task: asyncio.Task[Any]) -> bool:
    """Whether a task is the test's affair: Ably's SDK leaves timers of its own running after a close."""
    code = getattr(task.get_coro(), "cr_code", None)
    return task is not asyncio.current_task() and "/site-packages/ably/" not in getattr(
        code, "co_filename", ""
    )


def _describe(pid: int) -> str:
    try:
        process = psutil.Process(pid)
        return f"{pid} ({process.status()}, below {process.ppid()}): {' '.join(process.cmdline())}"
    except psutil.NoSuchProcess:
        return f"{pid}, which has ended by now"


def _is_store(pid: int) -> bool:
    """Session-wide servers may come up, and PostgreSQL starts and ends its backends as it likes."""
    try:
        name = psutil.Process(pid).name()
    except psutil.NoSuchProcess:
        return True
    return name in {"valkey-server", "redis-server"} or "postgres" in name
