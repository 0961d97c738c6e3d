"""Change the code in small ways and see whether tests notice: `python -m tests.mutants [target ...]`.

Targets, and the tests that have to notice, are in `targets.toml`; mutants that may live, with the reasons, in
`survivors.toml`. mutmut makes the mutants and runs the tests, in a copy of the tree in `.mutants/`. The exit
status says whether each target has enough of its mutants caught and no survivor that is not listed.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from tests.mutants.verdict import CAUGHT, Survivor, Verdict, listed, table

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
#: What is mutated has to be importable beside what is not; tests read some of the rest.
COPIED = ["config", "statemachine", "rdchat", "handlers"]
COPIED_ALONG = ["run.py", "web", "docs", "README.md", "CHANGELOG.md", "tools", "benchmarks"]
#: What a log line says, branches that no input reaches, and what is said to the type checker alone.
NEVER_CHANGED = [
    r"\blog\.(debug|info|warning|error|exception)\(",
    "pragma: no cover",
    r"= cast\(\"\w+\", [\w.]+\)$",
]

#: A test that takes as long as this hangs, and fails. mutmut's own limit, for all tests of a mutant together,
#: comes long after: on a busy machine it would count as caught what was only slow.
HANGS_SECONDS = 10


@click.command()
@click.argument("targets", nargs=-1)
@click.option("--again", is_flag=True, help="Try only what was not caught the last time.")
def main(targets: tuple[str, ...], *, again: bool) -> None:
    """Count what the tests of each of TARGETS, by default of all, do not notice."""
    known: dict[str, dict[str, Any]] = tomllib.loads((HERE / "targets.toml").read_text())
    unknown = set(targets) - known.keys()
    if unknown:
        raise click.UsageError(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    accepted = listed(HERE / "survivors.toml")
    verdicts = [judge(name, known[name], accepted, again=again) for name in targets or known]
    click.echo(table(verdicts))
    sys.exit(0 if all(verdict.holds for verdict in verdicts) else 1)


def judge(name: str, target: dict[str, Any], accepted: list[Survivor], *, again: bool) -> Verdict:
    tree = ROOT / ".mutants" / name
    project = settings(target)
    # With other settings mutmut forgets what was caught.
    again = again and (tree / "pyproject.toml").exists() and (tree / "pyproject.toml").read_text() == project
    if not again:
        shutil.rmtree(tree, ignore_errors=True)
    lay_out(tree, project)
    # What ran out of time is tried again as well: it may have been the machine that was slow.
    earlier = [mutant for mutant, status in statuses(tree).items() if status != "killed"] if again else []
    with servers(wanted=target.get("servers", False)) as places:
        # What stays in the stores is one mutant's: those that have stores run one after another.
        command = ["run", *earlier, "--max-children", "1" if places else "2"]
        environment = os.environ | places
        if not again or earlier:
            with progress(tree) as output:
                subprocess.run([mutmut(), *command], cwd=tree, env=environment, check=True, stdout=output)
    found = statuses(tree)
    alive = [mutant for mutant, status in found.items() if status not in CAUGHT]
    survivors = [Survivor.read(mutant, diff) for mutant, diff in diffs(tree, alive).items()]
    return Verdict.of(name, list(found.values()), survivors, accepted)


def lay_out(tree: Path, project: str) -> None:
    """Copy what is tested to where it may be changed."""
    tree.mkdir(parents=True, exist_ok=True)
    ignored = shutil.ignore_patterns("__pycache__", "node_modules")
    for name in [*COPIED, *COPIED_ALONG, "tests"]:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tree / name, ignore=ignored, dirs_exist_ok=True)
        else:
            shutil.copy2(source, tree / name)
    (tree / "pyproject.toml").write_text(project)


def settings(target: dict[str, Any]) -> str:
    """Write the project's settings with mutmut's for a target."""
    chosen = {
        "source_paths": COPIED,
        "only_mutate": target["modules"],
        "also_copy": COPIED_ALONG,
        "do_not_mutate_patterns": NEVER_CHANGED,
        "pytest_add_cli_args_test_selection": target["tests"],
        "pytest_add_cli_args": [
            "-p",
            "no:cacheprovider",
            "-p",
            "no:xdist",
            "-o",
            "addopts=-p no:schemathesis",
            f"--timeout={HANGS_SECONDS}",
        ],
        "timeout_multiplier": 5.0,
        "timeout_constant": 20.0,
        "track_dependencies": False,
        "use_git_change_detection": False,
    }
    lines = [f"{key} = {toml(value)}" for key, value in chosen.items()]
    return "\n".join([(ROOT / "pyproject.toml").read_text(), "[tool.mutmut]", *lines, ""])


def toml(value: list[str] | float | bool) -> str:  # noqa: FBT001 - a setting is what it is
    if isinstance(value, list):
        return "[" + ", ".join(f"'{item}'" for item in value) + "]"
    return str(value).lower()


@contextlib.contextmanager
def progress(tree: Path) -> Iterator[IO[str] | None]:
    """Show how mutmut gets on at a terminal; else keep it beside the copy, for it writes a lot."""
    if sys.stdout.isatty():
        yield None
        return
    with tree.with_suffix(".log").open("w") as log:
        yield log


@contextlib.contextmanager
def servers(*, wanted: bool) -> Iterator[dict[str, str]]:
    """Keep stores for all tests of a target, and tell where they are as `tests/conftest.py` expects it."""
    if not wanted:
        yield {}
        return
    from rdchat.local.stores import EmbeddedPostgres, EmbeddedRedis  # noqa: PLC0415 - not for --help

    with tempfile.TemporaryDirectory() as folder:
        postgres = EmbeddedPostgres(Path(folder) / "pg", settings={"fsync": "off", "max_connections": "200"})
        redis = EmbeddedRedis(Path(folder) / "redis")
        try:
            yield {"TEST_POSTGRES_URL": postgres.start(), "TEST_REDIS_URL": redis.start()}
        finally:
            redis.stop()
            postgres.stop()


def statuses(tree: Path) -> dict[str, str]:
    said = said_by([mutmut(), "results", "--all", "true"], tree)
    lines = [line.strip().partition(": ") for line in said.splitlines()]
    return {mutant: status for mutant, colon, status in lines if colon}


def diffs(tree: Path, mutants: list[str]) -> dict[str, str]:
    # What `mutmut show` prints, for all of them in one process: there may be hundreds.
    show = "import json, sys; from mutmut.mutation.diff_apply import get_diff_for_mutant as diff; "
    show += "print(json.dumps({mutant: diff(mutant) for mutant in sys.argv[1:]}))"
    shown: dict[str, str] = json.loads(said_by([sys.executable, "-c", show, *mutants], tree))
    return shown


def said_by(command: list[str], tree: Path) -> str:
    return subprocess.run(command, cwd=tree, check=True, stdout=subprocess.PIPE, text=True).stdout


def mutmut() -> str:
    return str(Path(sys.executable).with_name("mutmut"))


if __name__ == "__main__":
    main()
