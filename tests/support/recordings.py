"""Genuine recordings and videos, as telephones and browsers make them."""

from __future__ import annotations

import io
import math
from array import array
from typing import Any, Final

import av

#: Written into every corner that a container has for it; in no recording that is kept.
TELLTALE: Final = "Jalan Melati 5"
PLACE: Final = "-06.2088+106.8456/"
_RATE: Final = 48_000
_FRAME: Final = 960
#: By name: the muxer, the codec, options, and the content type of what is kept.
FORMS: Final[dict[str, tuple[str, str, dict[str, str], str]]] = {
    "ogg": ("ogg", "libopus", {}, "audio/ogg"),
    # As MediaRecorder writes it: without a duration, and without an index.
    "webm": ("webm", "libopus", {"live": "1"}, "audio/webm"),
    "m4a": ("ipod", "aac", {}, "audio/mp4"),
    # As Safari's MediaRecorder writes it.
    "fragments": ("mp4", "aac", {"movflags": "frag_keyframe+empty_moov"}, "audio/mp4"),
    "opus in mp4": ("mp4", "libopus", {}, "audio/mp4"),
    "mp3": ("mp3", "libmp3lame", {}, "audio/mpeg"),
    "wav": ("wav", "pcm_s16le", {}, "audio/wav"),
}


def recording(form: str, seconds: float = 1.0, *, telling: bool = False) -> bytes:
    """A tone. `telling`: with a title, a place and a device in it."""
    muxer, codec, options, _ = FORMS[form]
    return sound(muxer, codec, seconds, options=options, telling=telling)


def sound(
    muxer: str,
    codec: str,
    seconds: float = 1.0,
    *,
    options: dict[str, str] | None = None,
    telling: bool = False,
    rate: int = _RATE,
) -> bytes:
    out = io.BytesIO()
    with av.open(out, "w", format=muxer, options=options or {}) as made:
        stream: Any = made.add_stream(codec, rate=rate, layout="mono")
        if telling:
            told = {"title": TELLTALE, "comment": TELLTALE, "artist": TELLTALE, "location": PLACE}
            made.metadata.update(told | {"creation_time": "2030-01-15T07:00:00Z", "make": TELLTALE})
            stream.metadata.update(told)
        for start in range(0, round(rate * seconds), _FRAME):
            wave = array("h", (round(8000 * math.sin(n / 20)) for n in range(start, start + _FRAME)))
            frame = av.AudioFrame(format="s16", layout="mono", samples=_FRAME)
            frame.planes[0].update(wave.tobytes())
            frame.sample_rate, frame.pts = rate, start
            made.mux(stream.encode(frame))
        made.mux(stream.encode(None))
    return out.getvalue()


def video(muxer: str = "mp4", codec: str = "mpeg4", *, with_sound: str | None = None) -> bytes:
    """Some pictures that move."""
    out = io.BytesIO()
    with av.open(out, "w", format=muxer) as made:
        stream: Any = made.add_stream(codec, rate=10, width=64, height=48, pix_fmt="yuv420p")
        speech: Any = made.add_stream(with_sound, rate=_RATE, layout="mono") if with_sound else None
        for n in range(10):
            made.mux(stream.encode(av.VideoFrame(64, 48, "yuv420p")))
            if speech is not None:
                frame = av.AudioFrame(format="s16", layout="mono", samples=_FRAME)
                frame.planes[0].update(bytes(2 * _FRAME))
                frame.sample_rate, frame.pts = _RATE, n * _FRAME
                made.mux(speech.encode(frame))
        made.mux(stream.encode(None))
        if speech is not None:
            made.mux(speech.encode(None))
    return out.getvalue()
