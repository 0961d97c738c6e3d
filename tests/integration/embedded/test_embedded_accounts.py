"""Embedded PostgreSQL when root runs it, and when an ordinary user does."""

import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rdchat.local.stores import EmbeddedPostgres, EmbeddedStoreError, EmbeddedStores, launch, postgres
from rdchat.local.stores.programs import postgres_programs
from tests.support.owner import OWNER, QUICK, ROOT, sql

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="the kernel's part of it is Linux's")
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="about running as root")
# One after another, on one worker: they share a database that was made once.
pytestmark = pytest.mark.xdist_group("embedded")


@linux_only
@root_only
def test_root_keeps_one_capability_and_needs_no_open_directory(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone = place / "clone"  # as below /root, installed with a umask that lets nobody else in
    package = postgres_programs().parents[1]
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
    assert sql(server.address, "select count(*) from pg_extension where extname = 'btree_gist'") == 1
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
    start = (
        "import sys, pathlib, rdchat.local.stores as e; e.EmbeddedPostgres(pathlib.Path(sys.argv[1])).start()"
    )
    # Root of a container that dropped every capability but the ones for changing accounts.
    only = "-all,+setuid,+setgid,+chown,+setpcap,+kill"
    limit = [setpriv, "--bounding-set", only, "--inh-caps", only]
    command = [*limit, sys.executable, "-c", start, str(place / "pg")]
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
        OWNER,
        str(home / "data"),
        str(home / "template"),
        "follow",
    ]
    done = subprocess.run(command, input="", capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.stdout == "up\n", done.stderr
    assert (home / "data").stat().st_uid == nobody
    with pytest.raises(EmbeddedStoreError, match=f"belongs to user {nobody}"):
        EmbeddedStores(home / "data", postgres=True, redis=False).start()
