"""Embedded servers and their owners that die: whom the next one ends, whom it leaves alone."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from rdchat.local.stores import EmbeddedPostgres, EmbeddedRedis, EmbeddedStores, running
from tests.support.owner import QUICK, cached, owner, processes_below, record, sql

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's part of it is Linux's")
# One after another, on one worker: they share a database that was made once.
pytestmark = pytest.mark.xdist_group("embedded")


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
    data = place / "data"
    said: list[str] = []
    with owner(data, template, follow=False) as first:
        before = running(data)
        assert before is not None
        assert before.owner_url is not None
        assert before.redis_url is not None
        sql(before.owner_url, "create table kept (n int)")
        cached(before.redis_url).set("kept", "yes")
        servers = [psutil.Process(record(data)[name]) for name in ("postgres_pid", "redis_pid")]
        first.kill()
        first.wait()
    assert running(data) is None
    assert all(server.is_running() for server in servers)
    stores = EmbeddedStores(data, postgres=True, redis=True, say=said.append)
    addresses = stores.start()
    assert addresses.owner_url is not None
    assert addresses.redis_url is not None
    assert not any(server.is_running() and server.status() != "zombie" for server in servers)
    assert sql(addresses.owner_url, "select count(*) from kept") == 0
    assert cached(addresses.redis_url).get("kept") == "yes"
    stores.stop()
    assert len(said) == 2


@pytest.mark.usefixtures("place")
def test_a_stranger_named_in_the_pid_file_is_left_alone(prepared: Path) -> None:
    account = "nobody" if os.geteuid() == 0 else None
    with subprocess.Popen(["/bin/sleep", "60"], cwd="/", user=account) as stranger:
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
    assert processes_below(place) == []
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


@linux_only
def test_a_forked_child_neither_holds_the_directory_nor_stops_the_server(place: Path) -> None:
    server = EmbeddedRedis(place / "valkey")
    server.start()
    receive, send = os.pipe()
    is_up, comes_up = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(send)
        server.stop()
        server.kill()
        os.write(comes_up, b".")
        os.read(receive, 1)  # lives until the parent is done
        os._exit(0)
    os.close(receive)
    try:
        # A child lets go of the directory as soon as it runs, which on a busy machine takes its time.
        assert os.read(is_up, 1) == b"."
        assert cached(server.address).ping()
        server.stop()
        other = EmbeddedRedis(place / "valkey")
        other.start()
        other.stop()
    finally:
        os.close(send)
        status = os.waitpid(child, 0)[1]
        os.close(is_up)
        os.close(comes_up)
    assert status == 0
