"""What is shown while the session is played: a line for everything that happens, and below it what is next.

On a terminal the last line lives: it counts down. Elsewhere (a file, a pipe, CI) the same is said in plain
lines without control characters.
"""

from __future__ import annotations

import asyncio
import sys
from io import TextIOWrapper
from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from rdchat.local.demo.appointment import clock_time

if TYPE_CHECKING:
    from datetime import datetime
    from types import TracebackType
    from typing import Self

    from rich.console import RenderableType

    from rdchat.common.clock import Clock

_PLAIN_WIDTH: Final = 100
_REFRESHES_A_SECOND: Final = 5
#: Drawing takes milliseconds. It waits until both participants have been called back with what is drawn, so
#: that the delays that are measured are not the screen's.
_DRAW_AFTER_SECONDS: Final = 0.05


def make_console() -> Console:
    """Make a console for standard output, plain unless it is a terminal."""
    if isinstance(sys.stdout, TextIOWrapper):
        # In a locale without emoji, the demo shows question marks rather than a traceback.
        sys.stdout.reconfigure(errors="replace")
    if sys.stdout.isatty():
        return Console(highlight=False, emoji=False)
    return Console(highlight=False, emoji=False, force_terminal=False, color_system=None, width=_PLAIN_WIDTH)


class Screen:
    """The screen, as a context manager in a running loop: the living line is gone behind the block."""

    def __init__(self, console: Console, clock: Clock) -> None:
        self._console = console
        self._clock = clock
        self._next = ""
        self._since = clock.now()
        self._at: datetime | None = None
        self._typist = ""
        self._spinner = Spinner("dots", style="cyan")
        self._live: Live | None = None
        self._undrawn: list[RenderableType] = []

    def __enter__(self) -> Self:
        """Start showing."""
        if self._console.is_terminal and not self._console.is_dumb_terminal:
            self._live = Live(
                get_renderable=self._line,
                console=self._console,
                refresh_per_second=_REFRESHES_A_SECOND,
                transient=True,
            )
            self._live.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """Draw what is left, and take the living line away."""
        self._draw()
        if self._live is not None:
            self._live.stop()

    def note(self, text: str | Text, *, mark: str = "·", style: str = "") -> None:
        """Show that something has happened."""
        now = clock_time(self._clock.now())
        said = text if isinstance(text, Text) else Text(text, style=style)
        if self._live is None:
            # One line each, however long: later readers have windows of their own.
            self._add(Text.assemble(f"{now} {mark} ", said))
            return
        row = Table.grid(padding=(0, 1))
        row.add_column(no_wrap=True, style="dim")
        row.add_column(no_wrap=True, style=style or "dim")
        row.add_column(overflow="fold")
        row.add_row(now, mark, said)
        self._add(row)

    def expect(self, text: str, at: datetime | None = None) -> None:
        """Show what happens next, and when."""
        self._next, self._since, self._at = text, self._clock.now(), at
        if self._live is None:
            self._add(Text(f"         … next: {text}{self._remaining()}"))

    def typing(self, name: str, *, is_typing: bool) -> None:
        """Show on the living line that a person types, or no longer."""
        self._typist = name if is_typing else ""

    def _add(self, line: RenderableType) -> None:
        if not self._undrawn:
            asyncio.get_running_loop().call_later(_DRAW_AFTER_SECONDS, self._draw)
        self._undrawn.append(line)

    def _draw(self) -> None:
        lines, self._undrawn = self._undrawn, []
        for line in lines:
            self._console.print(line, soft_wrap=self._live is None)
        self._console.file.flush()

    def _remaining(self) -> str:
        if self._at is None:
            return ""
        left = (self._at - self._clock.now()).total_seconds()
        return f", in {left:.0f} s" if left >= 1 else ", now"

    def _line(self) -> RenderableType:
        line = Table.grid(padding=(0, 1))
        line.add_column(width=1)
        line.add_column(no_wrap=True)
        line.add_column(no_wrap=True)
        line.add_column(no_wrap=True, style="italic dim")
        line.add_row(
            self._spinner,
            self._bar(),
            Text.assemble("next: ", (self._next, "bold"), (self._remaining(), "cyan")),
            f"{self._typist} is typing …" if self._typist else "",
        )
        return line

    def _bar(self) -> RenderableType:
        if self._at is None:
            return ProgressBar(total=None, pulse=True, width=24)
        whole = max((self._at - self._since).total_seconds(), 0.001)
        gone = (self._clock.now() - self._since).total_seconds()
        return ProgressBar(total=whole, completed=min(gone, whole), width=24)
