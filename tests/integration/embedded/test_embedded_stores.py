"""The embedded stores: started, stopped, moved, refused, with what they keep."""

import shutil
import stat
import tempfile
import threading
from pathlib import Path

import pytest

from rdchat.local.stores import (
    DataDirectoryBusy,
    EmbeddedPostgres,
    EmbeddedRedis,
    EmbeddedStoreError,
    EmbeddedStores,
    running,
)
from tests.support.owner import QUICK, cached, owner, sql

# One after another, on one worker: they share a database that was made once.
pytestmark = pytest.mark.xdist_group("embedded")


def test_first_start_creates_and_a_restart_keeps_the_data(place: Path) -> None:
    data = place / "data"
    said: list[str] = []
    for visit in (1, 2):
        stores = EmbeddedStores(data, postgres=True, redis=True, say=said.append)
        addresses = stores.start()
        try:
            assert running(data) == addresses
            assert addresses.database_url is not None
            assert addresses.owner_url is not None
            assert addresses.redis_url is not None
            sql(addresses.owner_url, "create table if not exists kept (n int)")
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
        assert addresses.database_url is not None
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


def test_the_service_is_no_superuser_and_data_of_before_its_role_become_the_owners(
    place: Path, template: Path
) -> None:
    server = EmbeddedPostgres(place / "postgres", settings=QUICK, template=template)
    # What a service of before has left: the superuser's own tables, and no roles.
    server.start()
    sql(server.address, "create table migrations (name text primary key, applied_at timestamptz not null)")
    sql(server.address, "create table timeline (n int)")
    for role in ("rdchat_service", "rdchat_owner"):
        sql(server.address, f"drop owned by {role}")
        sql(server.address, f"drop role {role}")
    server.stop()
    (place / "postgres/data/rdchat.roles").unlink()
    stores = EmbeddedStores(place, postgres=True, redis=False)
    addresses = stores.start()
    try:
        assert addresses.database_url is not None
        assert addresses.owner_url is not None
        for url in (addresses.database_url, addresses.owner_url):
            assert sql(url, "select rolsuper from pg_roles where rolname = current_user") is False
        owned = "select string_agg(tablename, ',' order by 1) from pg_tables where tableowner = current_user"
        assert sql(addresses.owner_url, owned) == "migrations,timeline"
        assert sql(addresses.database_url, owned) is None
        assert sql(addresses.database_url, "insert into timeline values (1) returning n") == 1
    finally:
        stores.stop()
