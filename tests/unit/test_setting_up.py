"""Setting up `.venv`: what pip says is retold shortly, and it is never silent for long."""

from __future__ import annotations

from tools.set_up import retold


def test_a_line_for_each_package_and_a_count_while_they_are_unpacked() -> None:
    tz = iter([1, 2, 5])
    lines = [
        None,
        "Ignoring colorama: markers 'sys_platform == \"win32\"' don't match your environment",
        "Collecting aiohttp==3.14.5 (from -r requirements.lock (line 9))",
        "  Downloading aiohttp-3.14.5-cp311-cp311-manylinux_2_28_x86_64.whl.metadata (8.1 kB)",
        "  Downloading aiohttp-3.14.5-cp311-cp311-manylinux_2_28_x86_64.whl (1.9 MB)",
        "Requirement already satisfied: idna==3.20 in .venv/lib/python3.11/site-packages",
        "  Using cached resvg_py-0.5.0.tar.gz (33 kB)",
        "Processing /a/folder/yarl-1.25.1-py3-none-any.whl (from -r requirements.lock (line 20))",
        None,
        "Installing collected packages: aiohttp, resvg-py, yarl",
        None,
        None,
        None,
        "Successfully installed aiohttp-3.14.5 resvg-py-0.5.0 yarl-1.25.1",
    ]
    assert list(retold(lines, pins=5, installed=lambda: next(tz))) == [
        "  still busy",
        "  1 of 4: aiohttp 3.14.5 1.9 MB",
        "  3 of 4: resvg_py 0.5.0 33 kB",
        "  4 of 4: yarl 1.25.1",
        "  still busy; the last was yarl 1.25.1",
        "  unpacking 3",
        "  1 of 3 unpacked",
        "  2 of 3 unpacked",
        "  3 of 3 unpacked",
    ]
