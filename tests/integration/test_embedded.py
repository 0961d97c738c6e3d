"""The embedded stores: what they keep, whom they end, whom they leave alone."""

import asyncio
import contextlib
import json
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest
import redis

from rdchat import embedded
from rdchat.embedded import (
    DataDirectoryBusy,
    EmbeddedPostgres,
    EmbeddedRedis,
    EmbeddedStoreError,
    EmbeddedStores,
    launch,
    postgres,
    running,
)

ROOT = Path(embedded.__file__).parents[2]
QUICK = {"fsync": "off"}
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's part of it is Linux's")
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="about running as root")

OWNER = """
    import sys
    from pathlib import Path
    from rdchat import embedded
    data, template = Path(sys.argv[1]), Path(sys.argv[2]) if sys.argv[2] else None
    if sys.argv[3] == "alone":  # as where the kernel cannot tell the servers that the service died
        embedded.EmbeddedPostgres.ask_to_end = embedded.EmbeddedRedis.ask_to_end = 0
    stores = embedded.EmbeddedStores(data, postgres=True, redis=True, template=template)
    stores.start()
    print("up", flush=True)
    sys.stdin.read()
    stores.stop()
"""


@pytest.fixture(scope="module")
def root() -> Iterator[Path]:
    """A short private directory for everything below."""
    with tempfile.TemporaryDirectory(prefix="rd-") as directory:
        yield Path(directory)


@pytest.fixture(scope="module")
def template(root: Path) -> Path:
    """A data directory that is created once and copied by each test that needs one of its own."""
    return root / "once/template"


@pytest.fixture(scope="module")
def prepared(root: Path, template: Path) -> Path:
    """A directory with a database in it, for tests that leave it as they found it: stopped."""
    server = EmbeddedPostgres(root / "prepared", settings=QUICK, template=template)
    server.start()
    server.stop()
    return root / "prepared"


@pytest.fixture
def place(root: Path) -> Iterator[Path]:
    """A directory for one test; afterwards no process may work in it, or beside it, any more."""
    yield Path(tempfile.mkdtemp(dir=root))
    left = _processes_below(root)
    for process in left:
        process.kill()
    assert left == []


def _processes_below(directory: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if Path(process.cwd()).is_relative_to(directory) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


@contextlib.contextmanager
def owner(data: Path, template: Path, *, follow: bool = True) -> Iterator[subprocess.Popen[str]]:
    """A process that owns the stores of `data`, like `serve`."""
    command = [sys.executable, "-c", textwrap.dedent(OWNER), data, template, "follow" if follow else "alone"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        try:
            yield process
        finally:
            process.stdin.close()
            process.wait(20)


def sql(url: str, statement: str) -> object:
    async def ask() -> object:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    return asyncio.run(ask())


def cached(url: str) -> "redis.Redis[str]":
    return redis.Redis.from_url(url, decode_responses=True)


def record(data: Path) -> dict[str, int]:
    return json.loads((data / "running.json").read_text())


def test_first_start_creates_and_a_restart_keeps_the_data(place: Path) -> None:
    data, said = place / "data", []
    for visit in (1, 2):
        stores = EmbeddedStores(data, postgres=True, redis=True, say=said.append)
        addresses = stores.start()
        try:
            assert running(data) == addresses
            sql(addresses.database_url, "create table if not exists kept (n int)")
            sql(addresses.database_url, "insert into kept values (1)")
            assert sql(addresses.database_url, "select count(*) from kept") == visit
            assert sql(addresses.database_url, "select current_database()") == "rdchat"
            assert cached(addresses.redis_url).incr("kept") == visit
            for private in (data, data / "postgres", data / "valkey"):
                assert stat.S_IMODE(private.stat().st_mode) == 0o700
            assert stat.S_IMODE((data / "running.json").stat().st_mode) == 0o600
        finally:
            stores.stop()
            stores.stop()
    assert running(data) is None
    assert said == ["Creating the database (once) ..."]


def test_one_may_be_wanted_and_with_none_nothing_is_locked(place: Path) -> None:
    stores = EmbeddedStores(place, postgres=False, redis=True)
    addresses = stores.start()
    assert addresses.database_url is None
    assert EmbeddedStores(place, postgres=False, redis=False).start().redis_url is None
    assert running(place) == addresses
    stores.stop()
    assert running(place) is None


def test_a_second_owner_is_refused_and_told_who_the_first_is(place: Path, template: Path) -> None:
    with owner(place / "data", template) as first:
        second = EmbeddedStores(place / "data", postgres=True, redis=True)
        with pytest.raises(DataDirectoryBusy, match=rf"process {first.pid}\b.*RDCHAT_DATA_DIR"):
            second.start()
        second.stop()
        addresses = running(place / "data")
        assert addresses is not None
        assert sql(addresses.database_url, "select 1") == 1
    with pytest.raises(DataDirectoryBusy):
        _start_twice(place / "alone")


def _start_twice(directory: Path) -> None:
    first = EmbeddedRedis(directory)
    first.start()
    try:
        EmbeddedRedis(directory).start()
    finally:
        first.stop()


@linux_only
def test_the_servers_end_with_a_killed_owner(place: Path, template: Path) -> None:
    with owner(place / "data", template) as first:
        servers = [psutil.Process(record(place / "data")[name]) for name in ("postgres_pid", "redis_pid")]
        for server in servers:
            assert os.getsid(server.pid) == server.pid  # Ctrl-C on the owner's terminal passes it by
            assert not any("lock" in Path(file.path).name for file in server.open_files())
            assert server.net_connections("inet") == []
        first.kill()
        first.wait()
        assert psutil.wait_procs(servers, timeout=10)[1] == []
    assert running(place / "data") is None


def test_leftovers_of_a_killed_owner_are_ended_and_the_data_is_there(place: Path, template: Path) -> None:
    data, said = place / "data", []
    with owner(data, template, follow=False) as first:
        before = running(data)
        assert before is not None
        sql(before.database_url, "create table kept (n int)")
        cached(before.redis_url).set("kept", "yes")
        servers = [psutil.Process(record(data)[name]) for name in ("postgres_pid", "redis_pid")]
        first.kill()
        first.wait()
    assert running(data) is None
    assert all(server.is_running() for server in servers)
    stores = EmbeddedStores(data, postgres=True, redis=True, say=said.append)
    addresses = stores.start()
    assert not any(server.is_running() and server.status() != "zombie" for server in servers)
    assert sql(addresses.database_url, "select count(*) from kept") == 0
    assert cached(addresses.redis_url).get("kept") == "yes"
    stores.stop()
    assert len(said) == 2


@pytest.mark.usefixtures("place")
def test_a_stranger_named_in_the_pid_file_is_left_alone(prepared: Path) -> None:
    account = {"user": "nobody"} if os.geteuid() == 0 else {}
    with subprocess.Popen(["/bin/sleep", "60"], cwd="/", **account) as stranger:
        server = EmbeddedPostgres(prepared, settings=QUICK)
        server.start()
        pid_file = prepared / "data/postmaster.pid"
        theirs = pid_file.read_text().replace(str(server.pid), str(stranger.pid), 1)
        server.stop()
        pid_file.write_text(theirs)
        assert sql(server.start(), "select 1") == 1
        server.stop()
        assert stranger.poll() is None
        stranger.kill()


def test_killed_servers_start_again_with_what_was_committed(place: Path, template: Path) -> None:
    database = EmbeddedPostgres(place / "pg", template=template)
    url = database.start()
    sql(url, "create table kept as select generate_series(1, 1000) as n")
    cache = EmbeddedRedis(place / "valkey")
    cached(cache.start()).set("kept", "yes")
    for server in (database, cache):
        server.kill()
        assert server.pid is None
        server.kill()
    assert _processes_below(place) == []
    assert sql(database.start(), "select count(*) from kept") == 1000
    assert cached(cache.start()).get("kept") == "yes"
    database.stop()
    cache.stop()


def test_a_server_that_died_by_itself_can_be_stopped_and_started(place: Path) -> None:
    server = EmbeddedRedis(place / "valkey")
    cached(server.start()).set("kept", "yes")
    process = psutil.Process(server.pid)
    process.send_signal(signal.SIGKILL)
    process.wait(5)
    server.stop()
    assert cached(server.start()).get("kept") == "yes"
    assert server.start() == server.address  # a running one stays as it is
    server.stop()


def test_any_directory_name_will_do_and_a_directory_may_move(place: Path, prepared: Path) -> None:
    for name in ("long" * 30, "a, b", "blank 100% + 'quoted' \"twice\" &x=ü#?"):
        (place / name).mkdir()
        moved = prepared.rename(place / name / "pg")
        database, cache = EmbeddedPostgres(moved, settings=QUICK), EmbeddedRedis(place / name / "valkey")
        assert sql(database.start(), "select 1") == 1
        assert cached(cache.start()).ping()
        sockets = [database._sockets.path, cache._sockets.path]  # noqa: SLF001 - else nobody says where they are
        assert all(stat.S_IMODE(path.stat().st_mode) == 0o700 for path in sockets)
        database.stop()
        cache.stop()
        moved.rename(prepared)
        outside = [path for path in sockets if not path.is_relative_to(place)]
        assert not any(path.parent.exists() for path in outside)


def test_a_directory_for_sockets_prepared_by_somebody_else_is_refused(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    server = EmbeddedRedis(place / ("long" * 30))
    trap = server._sockets.path.parent  # noqa: SLF001 - the trap has to be where it goes
    trap.mkdir(mode=0o777)
    trap.chmod(0o777)
    with pytest.raises(EmbeddedStoreError, match="not a private directory"):
        server.start()


def test_a_directory_with_other_things_in_it_is_not_shut(place: Path) -> None:
    place.chmod(0o755)
    (place / "other").touch()
    stores = EmbeddedStores(place, postgres=False, redis=True)
    stores.start()
    stores.stop()
    assert stat.S_IMODE(place.stat().st_mode) == 0o755
    with pytest.raises(EmbeddedStoreError, match="chmod 700"):
        EmbeddedRedis(place).start()


def test_a_failed_start_tells_the_end_of_the_log_and_frees_the_directory(place: Path, prepared: Path) -> None:
    with pytest.raises(EmbeddedStoreError, match='invalid value for parameter "shared_buffers": "plenty"'):
        EmbeddedPostgres(prepared, settings={"shared_buffers": "plenty"}).start()
    with pytest.raises(EmbeddedStoreError, match="maxmemory"):
        EmbeddedRedis(place / "valkey", settings={"maxmemory": "plenty"}).start()
    server = EmbeddedPostgres(prepared, settings=QUICK)
    assert sql(server.start(), "show fsync") == "off"
    server.stop()


@linux_only
def test_a_forked_child_neither_holds_the_directory_nor_stops_the_server(place: Path) -> None:
    server = EmbeddedRedis(place / "valkey")
    server.start()
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(send)
        server.stop()
        server.kill()
        os.read(receive, 1)  # lives until the parent is done
        os._exit(0)
    os.close(receive)
    assert cached(server.address).ping()
    server.stop()
    other = EmbeddedRedis(place / "valkey")
    other.start()
    other.stop()
    os.close(send)
    assert os.waitpid(child, 0)[1] == 0


def test_start_outside_the_main_thread_is_refused(place: Path) -> None:
    told: list[str] = []

    def start() -> None:
        try:
            EmbeddedRedis(place / "valkey").start()
        except RuntimeError as error:
            told.append(str(error))

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert len(told) == 1
    assert "main thread" in told[0]


def test_a_plain_binary_and_a_port_when_asked(place: Path, unused_tcp_port: int) -> None:
    wheel = EmbeddedRedis(place)._binary  # noqa: SLF001 - any redis-server will do, and this one is at hand
    other = place / "redis-server"
    shutil.copy(wheel, other)
    server = EmbeddedRedis(place / "r", binary=str(other), settings={"port": str(unused_tcp_port)})
    url = server.start()
    assert url == f"redis://127.0.0.1:{unused_tcp_port}/0"
    assert cached(url).ping()
    server.stop()


def test_a_creation_that_was_cut_short_is_begun_again(place: Path, template: Path) -> None:
    (place / "pg").mkdir(mode=0o700)
    (place / "pg/data.new").mkdir()
    (place / "pg/data.new/PG_VERSION").write_text("18\n")
    server = EmbeddedPostgres(place / "pg", settings=QUICK, template=template)
    assert sql(server.start(), "select 1") == 1
    server.stop()


@linux_only
@root_only
def test_root_keeps_one_capability_and_needs_no_open_directory(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = place / "clone"  # as below /root, installed with a umask that lets nobody else in
    package = postgres.postgres_programs().parents[1]
    programs = clone / package.name / "pginstall/bin"
    for part in (package, package.with_name(f"{package.name}.libs")):
        shutil.copytree(
            part, clone / part.name, symlinks=True, ignore=shutil.ignore_patterns("include", "*.a")
        )
    subprocess.run(["/bin/chmod", "-R", "go=", clone], check=True)
    modes = {path: path.stat().st_mode for path in (place, clone, programs)}
    monkeypatch.setattr(postgres, "postgres_programs", lambda: programs)
    server = EmbeddedPostgres(clone / ".rdchat/postgres", settings=QUICK)
    assert sql(server.start(), "select 1") == 1
    sql(server.address, "create extension btree_gist")
    status = dict(
        line.split(":\t", 1) for line in Path(f"/proc/{server.pid}/status").read_text().splitlines()
    )
    assert set(status["Uid"].split()) == {str(pwd.getpwnam("nobody").pw_uid)}
    assert {int(status[name], 16) for name in ("CapEff", "CapPrm", "CapAmb")} == {1 << 1}
    server.stop()
    for program in programs.iterdir():
        program.chmod(0o755)
    server.start()
    assert (
        "CapEff:\t0000000000000004" in Path(f"/proc/{server.pid}/status").read_text()
    )  # reading is enough now
    server.stop()
    assert {path: path.stat().st_mode for path in modes} == modes


@linux_only
@root_only
def test_root_without_the_right_to_pass_is_told_the_ways_out(place: Path) -> None:
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("needs setpriv (util-linux)")
    start = "import sys, pathlib, rdchat.embedded as e; e.EmbeddedPostgres(pathlib.Path(sys.argv[1])).start()"
    # Root of a container that dropped every capability but the ones for changing accounts.
    only = "-all,+setuid,+setgid,+chown,+setpcap,+kill"
    limit = [setpriv, "--bounding-set", only, "--inh-caps", only]
    command = [*limit, sys.executable, "-c", start, place / "pg"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "CAP_DAC_READ_SEARCH" in done.stderr
    assert "RDCHAT_DATABASE_URL" in done.stderr


@root_only
def test_an_ordinary_user_needs_nothing_special(root: Path, place: Path) -> None:
    nobody = pwd.getpwnam("nobody").pw_uid
    home = place / "home"
    home.mkdir()
    os.chown(home, nobody, -1)
    for above in (root, place):
        above.chmod(0o711)
    # Our own launcher makes the user, so that it can read the interpreter and this clone wherever they lie.
    become = [sys.executable, "-I", "-S", launch.__file__, str(os.getpid()), "15", str(nobody), str(nobody)]
    command = [
        *become,
        sys.executable,
        "-c",
        textwrap.dedent(OWNER),
        home / "data",
        home / "template",
        "follow",
    ]
    done = subprocess.run(command, input="", capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.stdout == "up\n", done.stderr
    assert (home / "data").stat().st_uid == nobody
    with pytest.raises(EmbeddedStoreError, match=f"belongs to user {nobody}"):
        EmbeddedStores(home / "data", postgres=True, redis=False).start()
