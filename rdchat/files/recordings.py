"""Recordings: the packets of their one sound, written into a container of our own making, and nothing else.

A telephone's recording may tell where and with what it was made; a file may be a recording and something else
besides; and what browsers record has neither its duration nor an index in it. What is written here has sound,
a duration and an index. The sound itself is passed on as it is: it is not decoded.
"""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, Any, Final

import av
import av.error
import av.logging
from av import Packet

from rdchat.files import kinds
from rdchat.files.kinds import UnacceptableError

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer

    from rdchat.files.kinds import Kind

#: The demuxer, the muxer, and the codecs that browsers play, by kind. Vorbis in WebM brings its comments.
_FORMATS: Final[dict[Kind, tuple[str, str, frozenset[str]]]] = {
    kinds.OGG: ("ogg", "ogg", frozenset({"opus", "vorbis"})),
    kinds.WEBM: ("matroska", "webm", frozenset({"opus"})),
    kinds.MP4: ("mov", "mp4", frozenset({"aac", "opus", "mp3", "mp3float"})),
    kinds.MP3: ("mp3", "mp3", frozenset({"mp3", "mp3float"})),
    kinds.WAV: ("wav", "wav", frozenset({"pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le"})),
}
#: The same bytes have to come of the same file: no random serials, no version of the library.
_OPTIONS: Final = {"fflags": "+bitexact"}
#: The index in front, so that a recording plays before all of it has arrived.
_MORE_OPTIONS: Final = {
    "mp3": {"id3v2_version": "0"},
    "mp4": {"movflags": "+faststart"},
    "webm": {"cues_to_front": "1"},
}
#: Longer than a file of this size can be. Beyond it, its timestamps mean nothing.
_LONGEST_MS: Final = 24 * 60 * 60 * 1000
#: Eleven bits, and, whatever the version, layer 3.
_SYNC: Final = b"\xff\xe2"
#: Tags in another encoding are no reason to refuse a recording. PyAV 19 takes them so or so; 18, the last for
#: Python 3.11, has to be told.
_LENIENT: Final[dict[str, Any]] = {"metadata_errors": "replace"} if av.__version__.startswith("18.") else {}
_MPEG_1: Final = 3
_MPEG_2: Final = 2
_MPEG_2_5: Final = 0
_KBITS: Final = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBITS_OF_MPEG_2: Final = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_DAMAGED: Final = "The recording is cut off in the middle, or damaged."
_BROKEN: Final = (
    av.error.FFmpegError,
    ValueError,
    OverflowError,
    EOFError,
    OSError,
    LookupError,
    RuntimeError,
)


class _Handle:
    """One of two hands on a file in memory: what writes it, and what reads it to move it behind its index."""

    def __init__(self, content: bytearray) -> None:
        self._content = content
        self._at = 0

    def read(self, size: int) -> bytes:
        read = bytes(self._content[self._at : self._at + size])
        self._at += len(read)
        return read

    def write(self, data: bytes) -> int:
        self._content[self._at : self._at + len(data)] = data
        self._at += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: len(self._content)}[whence]
        self._at = start + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def close(self) -> None:
        pass


def rewrite(content: bytes, kind: Kind) -> tuple[bytes, None, None, int | None]:
    """Write a recording into another container. Return it, and how long it is, in milliseconds.

    In between are the width and the height that it does not have. Raise UnacceptableError: a video, without
    sound, of a kind that browsers do not play, or broken.
    """
    av.logging.set_level(av.logging.PANIC)
    demuxer, _, _ = _FORMATS[kind]
    try:
        with av.open(io.BytesIO(content), "r", format=demuxer, **_LENIENT) as recording:
            written, duration_ms = _written(recording, _sound(recording, kind), kind)
    except _BROKEN as error:
        raise UnacceptableError(_DAMAGED) from error
    return written, None, None, duration_ms


def _sound(recording: InputContainer, kind: Kind) -> AudioStream:
    for stream in recording.streams.video:
        # A cover is a video of one picture to FFmpeg. It is left out.
        if not stream.disposition & stream.disposition.attached_pic:
            raise UnacceptableError("Videos cannot be sent.", "a video")
    if not recording.streams.audio:
        raise UnacceptableError("The recording has no sound.")
    sound = recording.streams.audio[0]
    codec = sound.codec_context.name if sound.codec_context is not None else "unknown"
    if codec not in _FORMATS[kind][2]:
        raise UnacceptableError(
            f"Browsers do not play its sound ({codec}). Send it as M4A, MP3, Ogg, WebM or WAV."
        )
    return sound


def _written(recording: InputContainer, sound: AudioStream, kind: Kind) -> tuple[bytes, int | None]:
    _, muxer, _ = _FORMATS[kind]
    out = bytearray()
    first = last = None
    options = _OPTIONS | _MORE_OPTIONS.get(muxer, {})
    with av.open(_Handle(out), "w", format=muxer, options=options, io_open=lambda *_: _Handle(out)) as kept:
        copied = kept.add_stream_from_template(sound)
        for packet in recording.demux(sound):
            if packet.dts is None or packet.pts is None or not packet.size:
                continue
            if packet.is_corrupt:
                raise UnacceptableError(_DAMAGED)
            sent = _frame(packet) if kind is kinds.MP3 else packet
            if sent is None:
                continue
            end = packet.pts + (packet.duration or 0)
            first = packet.pts if first is None else min(first, packet.pts)
            last = end if last is None else max(last, end)
            sent.stream = copied
            kept.mux(sent)
    if first is None or last is None:
        raise UnacceptableError(_DAMAGED)
    duration_ms = round((last - first) * sound.time_base * 1000) if sound.time_base else 0
    return bytes(out), duration_ms if 0 < duration_ms <= _LONGEST_MS else None


def _frame(packet: Packet[AudioStream]) -> Packet[AudioStream] | None:
    """Return a packet of MPEG audio without what is behind its frame: a tag, or something else altogether.

    None for one without a whole frame. No container tells one from the other. The tables are those of
    ISO 11172-3 and 13818-3.
    """
    head = bytes(packet)[:4]
    if len(head) < len(_SYNC) or head[0] != _SYNC[0] or head[1] & 0xE6 != _SYNC[1]:
        return None
    version, kbits_at, rate_at = head[1] >> 3 & 3, head[2] >> 4, head[2] >> 2 & 3
    kbits = (_KBITS if version == _MPEG_1 else _KBITS_OF_MPEG_2)[kbits_at]
    rate = (44_100, 48_000, 32_000)[rate_at] >> {_MPEG_1: 0, _MPEG_2: 1, _MPEG_2_5: 2}[version]
    size = (144 if version == _MPEG_1 else 72) * kbits * 1000 // rate + (head[2] >> 1 & 1)
    if not kbits or size > packet.size:
        return None
    cut: Packet[Any] = Packet(bytes(packet)[:size])
    cut.pts, cut.dts, cut.duration = packet.pts, packet.dts, packet.duration
    cut.time_base = packet.time_base
    return cut
