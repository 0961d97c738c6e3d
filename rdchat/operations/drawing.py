"""The picture of a session's life, as SVG and PNG.

The places are laid out by hand: five states that hardly ever change are read more easily that way than as an
engine would place them. What is written on the arrows is read off the table; an arrow between two states that
had none needs a route in `_ROUTES`, and a test says so. The PNG is made of the SVG, with a font that comes
with the dependencies: a machine that serves this need have neither Graphviz nor fonts. What makes the module
long are measures and colours.
"""

from __future__ import annotations

import os
import struct
import sys
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from typing import BinaryIO, Final, Literal
from xml.etree import ElementTree as ET

from statemachine.diagram import INITIAL, Arrow, Path, arrows
from statemachine.states import OPEN, TERMINAL, Status

WIDTH, HEIGHT = 1310, 620
#: What stands before each SVG and PNG that a process gets and gives back.
LENGTH: Final = struct.Struct(">I")
#: How far the process that draws stands behind all others.
_NICENESS: Final = 5
#: Sharp on a screen of high density, and in print.
_PNG_ZOOM: Final = 2
#: Most sessions have gone one of a few ways: a drawing takes a millisecond, and 20 KiB.
_KEPT_SVGS: Final = 64

_INK, _GREY, _LINE, _PAPER = "#0f172a", "#64748b", "#64748b", "#fbfcfe"
_TIMER, _PERSON = "#4338ca", "#0f766e"
_WAY, _WAY_TINT, _HERE, _HALO = "#ea580c", "#fff7ed", "#fed7aa", "#ffedd5"
_OPEN_TINT, _SHUT_TINT = "#ecfdf5", "#ffffff"
_FADED: Final = "0.4"

_BOX_WIDTH, _BOX_HEIGHT = 160, 64
_LINE_HEIGHT: Final = 19
_ROW: Final = 312
_PLACES: Final = {
    Status.PENDING: (190, _ROW),
    Status.ACTIVE: (520, _ROW),
    Status.ENDING_SOON: (850, _ROW),
    Status.COMPLETED: (1180, _ROW),
    Status.CANCELLED: (520, 510),
}
_TOP, _BOTTOM = _ROW - _BOX_HEIGHT // 2, _ROW + _BOX_HEIGHT // 2
_LEGEND, _LEGEND_PITCH = (888, 440), 24

Between = tuple[Status, Status]


@dataclass(frozen=True, slots=True)
class _Route:
    """The line of an arrow, and where its words stand: the lowest line's baseline, growing upwards."""

    line: str
    x: int
    y: int
    anchor: Literal["start", "middle", "end"] = "middle"
    stacked: bool = False  # the condition below the trigger, where there is little room beside it


_ROUTES: Final[dict[Between, _Route]] = {
    (Status.PENDING, Status.ACTIVE): _Route(f"M270,{_ROW} H440", 350, _ROW - 12, stacked=True),
    (Status.ACTIVE, Status.ENDING_SOON): _Route(f"M600,{_ROW} H770", 680, _ROW - 12, stacked=True),
    (Status.ENDING_SOON, Status.ACTIVE): _Route(
        f"M836,{_BOTTOM} V386 q0,16 -16,16 H554 q-16,0 -16,-16 V{_BOTTOM}", 687, 390, stacked=True
    ),
    (Status.ENDING_SOON, Status.COMPLETED): _Route(f"M930,{_ROW} H1100", 1010, _ROW - 12, stacked=True),
    (Status.ACTIVE, Status.COMPLETED): _Route(
        f"M584,{_TOP} V156 q0,-16 16,-16 H1164 q16,0 16,16 V{_TOP}", 882, 128
    ),
    (Status.PENDING, Status.CANCELLED): _Route(f"M190,{_BOTTOM} V494 q0,16 16,16 H440", 318, 498),
    (Status.ACTIVE, Status.CANCELLED): _Route(f"M520,{_BOTTOM} V478", 534, 440, "start"),
    (Status.ENDING_SOON, Status.CANCELLED): _Route(f"M850,{_BOTTOM} V494 q0,16 -16,16 H600", 722, 498),
}


@lru_cache(maxsize=_KEPT_SVGS)
def svg(path: Path | None = None) -> str:
    """Draw the diagram as SVG; with a path, where the session is and the way it went stand out."""
    root = ET.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "width": str(WIDTH),
            "height": str(HEIGHT),
            "viewBox": f"0 0 {WIDTH} {HEIGHT}",
            "role": "img",
            # Inter is what the PNG is set in; a browser without it takes what its system has.
            "font-family": "Inter, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif",
            "font-size": "14",
        },
    )
    _add(root, "title", text="The life of a chat session")
    _markers(root)
    _add(root, "rect", {"width": "100%", "height": "100%", "fill": _PAPER})
    _heading(root, path)
    if path is not None:  # under the arrows, whose tips would vanish beneath it
        _box(root, *_PLACES[path.current], grow=8, look={"fill": _HALO})
    _start(root, path)
    between: dict[Between, list[Arrow]] = {}
    for arrow in arrows(path):
        between.setdefault((arrow.source, arrow.destination), []).append(arrow)
    for ends, parallel in between.items():
        _arrow(root, route(*ends), parallel, fade=path is not None)
    for status in Status:
        _state(root, status, path)
    _legend(root, path)
    for part in root:
        part.tail = "\n"  # one part a line; inside a text, white space would be drawn
    return ET.tostring(root, encoding="unicode") + "\n"


def png(path: Path | None = None) -> bytes:
    """Draw the diagram as PNG, with no font of the machine.

    This takes some 0.3 s, in which the renderer lets no other thread run. Beside an event loop, have a
    `Rasteriser` do it instead, in a process of its own.
    """
    return _rasterised(svg(path))


def _rasterised(drawn: str) -> bytes:
    import resvg_py  # noqa: PLC0415 - a service has a process of its own for it

    return bytes(
        resvg_py.svg_to_bytes(
            svg_string=drawn,
            zoom=_PNG_ZOOM,
            skip_system_fonts=True,
            font_files=[_font()],
            sans_serif_family="Inter",
        )
    )


def route(source: Status, destination: Status) -> _Route:
    """Return the way an arrow takes. Raise KeyError for an arrow of the table that is not laid out yet."""
    if source is not destination:
        return _ROUTES[source, destination]
    x, y = _PLACES[source]
    top = y - _BOX_HEIGHT // 2
    return _Route(
        f"M{x - 44},{top} V{top - 28} q0,-12 12,-12 h40 q12,0 12,12 V{top}", x + 48, top - 52, "end"
    )


@cache
def _font() -> str:
    return str(resources.files("fontpkg_inter") / "files" / "Inter[opsz,wght].ttf")


# ---- parts ------------------------------------------------------------------------------------------------


def _add(
    parent: ET.Element, tag: str, attributes: dict[str, str] | None = None, text: str | None = None
) -> ET.Element:
    element = ET.SubElement(parent, tag, attributes or {})
    element.text = text
    return element


def _markers(root: ET.Element) -> None:
    definitions = _add(root, "defs")
    for name, colour in (("tip", _LINE), ("way", _WAY)):
        marker = _add(
            definitions,
            "marker",
            {
                "id": f"rdchat-{name}",
                "viewBox": "0 0 12 12",
                "refX": "11",
                "refY": "6",
                "markerWidth": "12",
                "markerHeight": "12",
                "markerUnits": "userSpaceOnUse",
                "orient": "auto",
            },
        )
        _add(marker, "path", {"d": "M1,1.5 L11,6 L1,10.5 L3.5,6 Z", "fill": colour})


def _heading(root: ET.Element, path: Path | None) -> None:
    _text(root, 40, 56, [("The life of a chat session", {"font-size": "24", "font-weight": "700"})])
    if path is None:
        words = [("Every state, and everything that leads from one to another.", {"fill": _GREY})]
    else:
        words = [
            ("This session is ", {"fill": _GREY}),
            (path.current.value, {"fill": _WAY, "font-weight": "600"}),
            (". The way it went is drawn in orange.", {"fill": _GREY}),
        ]
    _text(root, 40, 82, words)


def _start(root: ET.Element, path: Path | None) -> None:
    x, y = _PLACES[INITIAL]
    _add(root, "circle", {"cx": "52", "cy": str(y), "r": "7", "fill": _WAY if path else _INK})
    _line(root, f"M60,{y} H{x - _BOX_WIDTH // 2}", taken=path is not None)


def _state(root: ET.Element, status: Status, path: Path | None) -> None:
    here = path is not None and status is path.current
    visited = path is not None and status in path.visited
    x, y = _PLACES[status]
    tint = _OPEN_TINT if status in OPEN else _SHUT_TINT
    group = _add(root, "g", {} if path is None or visited else {"opacity": "0.6"})
    look = {
        "fill": _HERE if here else _WAY_TINT if visited else tint,
        "stroke": _WAY if visited else "#334155",
        "stroke-width": "3" if here else "1.75",
    }
    _box(group, x, y, look=look)
    if status in TERMINAL:
        _box(group, x, y, grow=-5, look={"fill": "none", "stroke": look["stroke"], "stroke-width": "1"})
    means = "chat open" if status in OPEN else "over" if status in TERMINAL else "chat closed"
    _text(group, x, y - 2, [(status.value, {"font-size": "17", "font-weight": "700"})], "middle")
    _text(group, x, y + 17, [(means, {"font-size": "12", "fill": _GREY})], "middle")


def _box(parent: ET.Element, x: int, y: int, *, grow: int = 0, look: dict[str, str]) -> None:
    width, height = _BOX_WIDTH + 2 * grow, _BOX_HEIGHT + 2 * grow
    place = {"x": x - width / 2, "y": y - height / 2, "width": width, "height": height, "rx": 14 + grow}
    _add(parent, "rect", {name: f"{value:g}" for name, value in place.items()} | look)


def _arrow(root: ET.Element, way: _Route, parallel: list[Arrow], *, fade: bool) -> None:
    taken = any(arrow.times_taken for arrow in parallel)
    group = _add(root, "g")
    _line(group, way.line, taken=taken, faded=fade and not taken)
    lines = [(arrow, line) for arrow in parallel for line in _lines(arrow, stacked=way.stacked)]
    for above, (arrow, line) in enumerate(reversed(lines)):
        faded = fade and not arrow.times_taken
        _text(group, way.x, way.y - above * _LINE_HEIGHT, line, way.anchor, faded=faded)


def _line(parent: ET.Element, line: str, *, taken: bool = False, faded: bool = False) -> None:
    look = {
        "d": line,
        "fill": "none",
        "stroke": _WAY if taken else _LINE,
        "stroke-width": "3" if taken else "1.75",
        "marker-end": "url(#rdchat-way)" if taken else "url(#rdchat-tip)",
    }
    _add(parent, "path", look | ({"opacity": _FADED} if faded else {}))


Words = list[tuple[str, dict[str, str]]]


def _lines(arrow: Arrow, *, stacked: bool) -> list[Words]:
    trigger = (arrow.trigger, {"font-weight": "600", "fill": _TIMER if arrow.by_timer else _PERSON})
    line: Words = [trigger]
    if arrow.times_taken:
        line.insert(0, ("✓ ", {"font-weight": "700", "fill": _WAY}))
    if arrow.times_taken > 1:
        line.append((f" ×{arrow.times_taken}", {"font-weight": "700", "fill": _WAY}))  # noqa: RUF001 - times
    if not arrow.condition:
        return [line]
    condition = (f"[{arrow.condition}]", {"font-size": "12", "fill": _GREY})
    return [line, [condition]] if stacked else [[*line, (" ", {}), condition]]


def _text(
    parent: ET.Element, x: int, y: int, words: Words, anchor: str = "start", *, faded: bool = False
) -> None:
    place = {"x": str(x), "y": str(y), "text-anchor": anchor, "fill": _INK, "xml:space": "preserve"}
    text = _add(parent, "text", place | ({"opacity": _FADED} if faded else {}))
    for word, look in words:
        _add(text, "tspan", look, word)


# ---- legend -----------------------------------------------------------------------------------------------


def _legend(root: ET.Element, path: Path | None) -> None:
    x, y = _LEGEND
    notes: list[tuple[dict[str, str] | str, str]] = [
        ({"fill": _OPEN_TINT, "stroke": "#334155"}, "participants can write"),
        ({"fill": _SHUT_TINT, "stroke": "#334155"}, "they cannot; a double border: for good"),
        (_TIMER, "a timer does it"),
        (_PERSON, "a person does it"),
        (_GREY, "only if so; otherwise: in every other case"),
    ]
    if path is not None:
        notes.append(({"fill": _HERE, "stroke": _WAY}, "where the session is now"))
        notes.append((_WAY, "the way it went, and how often"))
    samples = {_TIMER: "trigger", _PERSON: "trigger", _GREY: "[condition]", _WAY: "✓ ×2"}  # noqa: RUF001
    group = _add(root, "g", {"font-size": "13"})
    for number, (sample, meaning) in enumerate(notes):
        baseline = y + number * _LEGEND_PITCH
        if isinstance(sample, str):
            weight = "400" if sample == _GREY else "600"
            _text(
                group, x + 72, baseline, [(samples[sample], {"fill": sample, "font-weight": weight})], "end"
            )
        else:
            box = {"x": str(x + 44), "y": str(baseline - 12), "width": "28", "height": "15", "rx": "4"}
            _add(group, "rect", box | sample | {"stroke-width": "1.5"})
        _text(group, x + 86, baseline, [(meaning, {"fill": "#475569"})])


def draw_for_ever(source: BinaryIO, target: BinaryIO) -> None:
    """Read SVGs and write PNGs, each after its length (4 bytes, big-endian), until there are no more."""
    while len(head := source.read(LENGTH.size)) == LENGTH.size:
        drawn = _rasterised(source.read(*LENGTH.unpack(head)).decode())
        target.write(LENGTH.pack(len(drawn)) + drawn)
        target.flush()


if __name__ == "__main__":
    # Those who look at a picture can wait; people who chat, on the same processors, cannot. But not for ever:
    # what only ran while no one else does would never be drawn on a machine that is busy throughout.
    os.nice(_NICENESS)
    draw_for_ever(sys.stdin.buffer, sys.stdout.buffer)
