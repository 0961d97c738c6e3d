"""Recordings are written into a container of our own: the sound stays, and what else was in it goes."""

from __future__ import annotations

import io

import av
import pytest

from rdchat.files import kinds, recordings
from rdchat.files.examination import examine
from rdchat.files.kinds import UnacceptableError
from tests.support.recordings import FORMS, PLACE, TELLTALE, recording, sound, video

each_form = pytest.mark.parametrize("form", FORMS)
EXAMPLES = {
    "ogg": kinds.OGG,
    "webm": kinds.WEBM,
    "m4a": kinds.MP4,
    "fragments": kinds.MP4,
    "opus in mp4": kinds.MP4,
    "mp3": kinds.MP3,
    "wav": kinds.WAV,
}


def packets(content: bytes) -> list[bytes]:
    with av.open(io.BytesIO(content), "r") as opened:
        return [bytes(one) for one in opened.demux(opened.streams.audio[0]) if one.size]


def told(content: bytes) -> str:
    """All that the containers' own reader finds beside the sound."""
    with av.open(io.BytesIO(content), "r") as opened:
        return f"{opened.metadata} {[stream.metadata for stream in opened.streams]}"


@each_form
def test_the_sound_stays_and_nothing_else(form: str) -> None:
    before = recording(form, 1.5, telling=True)
    assert TELLTALE.encode() in before
    finding = examine(before)
    after = finding.rewritten or b""
    assert finding.kind is EXAMPLES[form]
    assert finding.kind.content_type == FORMS[form][3]
    assert (finding.width, finding.height) == (None, None)
    assert finding.duration_ms == pytest.approx(1500, abs=60)
    assert packets(after) == packets(before)
    for secret in (TELLTALE, PLACE, "06.2088", "2030"):
        assert secret.encode() not in after
        assert secret not in told(after)


@pytest.mark.parametrize("form", sorted(FORMS.keys() - {"ogg"}))  # its pages have checksums
def test_tags_may_be_in_any_encoding(form: str) -> None:
    content = recording(form, telling=True).replace(TELLTALE.encode(), "Café Melati 5!".encode("latin-1"))
    assert examine(content).kind is EXAMPLES[form]


@each_form
def test_the_same_recording_again_is_the_same(form: str) -> None:
    content = recording(form)
    assert examine(content) == examine(content)


def test_what_browsers_record_gets_a_duration_and_an_index() -> None:
    before = recording("webm", 2.0)
    after, _, _, _ = recordings.rewrite(before, kinds.WEBM)
    with av.open(io.BytesIO(before), "r") as one, av.open(io.BytesIO(after), "r") as other:
        assert one.duration is None
        assert other.duration == pytest.approx(2_000_000, abs=60_000)
    cues = b"\x1c\x53\xbb\x6b"
    assert cues not in before
    assert cues in after


def test_what_safari_records_gets_its_index_in_front() -> None:
    after, _, _, _ = recordings.rewrite(recording("fragments"), kinds.MP4)
    assert b"moof" not in after
    assert after.index(b"moov") < after.index(b"mdat")
    # And so what an iPhone has recorded, whose index comes last.
    before = recording("m4a")
    assert before.index(b"moov") > before.index(b"mdat")
    after, _, _, _ = recordings.rewrite(before, kinds.MP4)
    assert after.index(b"moov") < after.index(b"mdat")


@pytest.mark.parametrize(
    "content",
    [
        video(),
        video("mov"),
        video("matroska"),
        video("webm", "libvpx"),
        video(with_sound="aac"),
        video("webm", "libvpx", with_sound="libopus"),
        video("ogg", "libtheora") if "libtheora" in av.codecs_available else video("mp4"),
    ],
)
def test_a_video_is_no_recording(content: bytes) -> None:
    with pytest.raises(UnacceptableError, match=r"^Videos cannot be sent\.$") as caught:
        examine(content)
    assert caught.value.found == "a video"


def test_what_hangs_on_behind_is_dropped() -> None:
    page = b"<!doctype html><script>alert(1)</script>"
    for form in FORMS:
        # Behind what FFmpeg reads, or among it: it is no packet.
        try:
            finding = examine(recording(form) + page)
        except UnacceptableError:
            continue
        assert page not in (finding.rewritten or b""), form


def with_cover(content: bytes) -> bytes:
    """An MP3 with a picture in its tag."""
    picture = b"\0image/png\0\x03\0" + b"\x89PNG\r\n\x1a\n" + TELLTALE.encode()
    frame = b"APIC" + len(picture).to_bytes(4, "big") + b"\0\0" + picture
    size = len(frame)
    sized = bytes((size >> shift) & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\x03\0\0" + sized + frame + content[content.index(b"\xff\xfb") :]


@pytest.mark.parametrize("rate", [48_000, 44_100, 24_000, 16_000, 8000])
def test_mp3_of_every_version(rate: int) -> None:
    before = sound("mp3", "libmp3lame", 2.0, rate=rate)
    after, _, _, duration_ms = recordings.rewrite(before + b"TAG" + TELLTALE.encode() * 9, kinds.MP3)
    assert packets(after) == packets(before)
    assert TELLTALE.encode() not in after
    assert duration_ms == pytest.approx(2000, abs=250)


def test_a_cover_is_left_out() -> None:
    before = with_cover(recording("mp3"))
    finding = examine(before)
    assert finding.kind is kinds.MP3
    assert TELLTALE.encode() not in (finding.rewritten or TELLTALE.encode())


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (
            sound("ipod", "alac"),
            "Browsers do not play its sound (alac). Send it as M4A, MP3, Ogg, WebM or WAV.",
        ),
        (
            sound("ogg", "flac"),
            "Browsers do not play its sound (flac). Send it as M4A, MP3, Ogg, WebM or WAV.",
        ),
        (
            sound("matroska", "aac"),
            "Browsers do not play its sound (aac). Send it as M4A, MP3, Ogg, WebM or WAV.",
        ),
        (
            sound("wav", "adpcm_ms", rate=22_050),
            "Browsers do not play its sound (adpcm_ms). Send it as M4A, MP3, Ogg, WebM or WAV.",
        ),
        (recording("m4a")[:-200], "The recording is cut off in the middle, or damaged."),
        (recording("m4a")[:2000], "The recording is cut off in the middle, or damaged."),
        (recording("webm")[:60], "The recording is cut off in the middle, or damaged."),
        (recording("ogg")[:40], "The recording is cut off in the middle, or damaged."),
        (recording("wav")[:30], "The recording is cut off in the middle, or damaged."),
        (b"ID3\x04\0\0\0\0\0\0" + bytes(500), "The recording is cut off in the middle, or damaged."),
        (b"\0\0\0\x1cftypM4A " + bytes(100), "The recording is cut off in the middle, or damaged."),
    ],
    # Not by their bytes, which differ each time: workers of xdist must have the same tests.
    ids=[f"content {number}" for number in range(11)],
)
def test_what_cannot_be_played_is_refused(content: bytes, sentence: str) -> None:
    with pytest.raises(UnacceptableError) as caught:
        examine(content)
    assert str(caught.value) == sentence
