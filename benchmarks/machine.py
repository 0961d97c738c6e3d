"""What the numbers were measured on, and how much of it was free for the benchmark."""

from __future__ import annotations

import os
import platform
import sys
import sysconfig
from typing import Any

import click
import psutil


def describe() -> dict[str, Any]:
    """Describe the machine."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "build": _build(),
    }


def _build() -> str:
    """Return how Python was built: without profile-guided optimisation it is a fifth slower.

    Distributions' packages are built with it, whatever their `configure` line says; what is built from source
    by default is not.
    """
    flags = " ".join(
        str(sysconfig.get_config_var(name) or "")
        for name in ("CONFIG_ARGS", "PGO_PROF_USE_FLAG", "PY_CORE_LDFLAGS")
    )
    optimised = "--enable-optimizations" in flags or sys.prefix == "/usr" or sys.base_prefix == "/usr"
    return "optimised build" if optimised else "built without optimisations"


def _cpu() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123 - not a file of ours
            names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


class Elsewhere:
    """How much of the machine's processor time went to processes that are not ours.

    On a busy machine no one can say what a benchmark measured, so the report shows this share.
    """

    def __init__(self) -> None:
        self._used: dict[int, float] = {}
        self.sample()
        self._earlier = sum(self._used.values())
        self._before = _processors()
        self.share = 0.0

    def sample(self) -> None:
        """Measure our processes; one that ends between two looks is counted up to the earlier of them."""
        for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
            try:
                times = process.cpu_times()
            except psutil.Error:
                continue
            self._used[process.pid] = times.user + times.system

    def say(self, text: str) -> None:
        """Tell how it gets on, and measure our processes."""
        click.echo(text)
        self.sample()

    def stop(self) -> None:
        """Set `share`: the part of all processor time since the start that others used, 0 to 1."""
        self.sample()
        busy, total = (after - before for after, before in zip(_processors(), self._before, strict=True))
        ours = sum(self._used.values()) - self._earlier
        self.share = max(0.0, busy - ours) / total if total else 0.0


def _processors() -> tuple[float, float]:
    """Return the seconds that the processors were busy, and those that went by, added up over all."""
    times = psutil.cpu_times()
    # Linux counts the time of guests among `user` and `nice` as well.
    total = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
    return total - times.idle - getattr(times, "iowait", 0.0), total
