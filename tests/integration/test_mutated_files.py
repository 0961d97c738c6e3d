"""Genuine files, changed at random: each is refused with a sentence, or kept as something sound, and soon."""

from __future__ import annotations

import io
import select
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from pypdf import PdfWriter

from rdchat.files.kinds import IN_WORDS, KINDS
from tests.support.forms import photo
from tests.support.recordings import FORMS, recording, video

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Generously: most take a hundredth of a second.
PATIENCE_SECONDS = 20.0
SHORTEST_MS = 100


def moving(form: str) -> bytes:
    out = io.BytesIO()
    frames = [Image.new("RGB", (40, 30), colour) for colour in ("red", "green", "blue")]
    frames[0].save(out, form, save_all=True, append_images=frames[1:], duration=100)
    return out.getvalue()


def pdf(password: str) -> bytes:
    made, out = PdfWriter(), io.BytesIO()
    made.add_blank_page(100, 100)
    made.encrypt(password, "owner", algorithm="AES-256")
    made.write(out)
    return out.getvalue()


SAMPLES = {
    **{form: photo(40, 30, form) for form in ("JPEG", "PNG", "GIF", "WEBP", "HEIF", "AVIF")},
    **{f"moving {form}": moving(form) for form in ("PNG", "GIF", "WEBP", "HEIF", "AVIF")},
    **{form: recording(form, 0.3) for form in FORMS},
    "video": video(),
    "video with sound": video("webm", "libvpx", with_sound="libopus"),
    "pdf": pdf(""),
    "utf-16": "Halo, apa kabar?".encode("utf-16"),
    "old office": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500),
}


class Examiner:
    """A process that examines; another one when it has died."""

    def __init__(self) -> None:
        self._process = self._started()

    def _started(self) -> subprocess.Popen[bytes]:
        program = [sys.executable, "-m", "tests.support.examining"]
        return subprocess.Popen(
            program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0
        )

    def __call__(self, content: bytes) -> dict[str, Any]:
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(len(content).to_bytes(8, "big") + content)
        line = b""
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([process.stdout], [], [], PATIENCE_SECONDS)
            part = process.stdout.read(1 << 20) if ready else b""
            if not part:
                self.close()
                self._process = self._started()
                pytest.fail("it took too long" if not ready else f"it died: {process.returncode}")
            line += part
        answer: dict[str, Any] = orjson.loads(line)
        return answer

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture(scope="module")
def examine() -> Iterator[Examiner]:
    made = Examiner()
    yield made
    made.close()


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A sample in which something was changed, cut out, doubled or put in."""
    content = bytearray(SAMPLES[draw(st.sampled_from(sorted(SAMPLES)))])
    for _ in range(draw(st.integers(1, 6))):
        # The heads of files and of what is in them are where most is decided.
        reach = draw(st.sampled_from([64, 512, len(content)]))
        at = draw(st.integers(0, max(0, min(reach, len(content)) - 1)))
        match draw(st.sampled_from(["change", "cut", "double", "put", "end"])):
            case "change":
                content[at : at + 1] = draw(st.binary(min_size=1, max_size=4))
            case "cut":
                del content[at : at + draw(st.integers(1, 64))]
            case "double":
                content[at:at] = content[at : at + draw(st.integers(1, 256))]
            case "put":
                content[at:at] = draw(st.binary(min_size=1, max_size=16))
            case "end":
                del content[at:]
    return bytes(content)


@pytest.mark.parametrize("name", SAMPLES)
def test_the_samples_are_what_they_seem(name: str, examine: Examiner) -> None:
    answer = examine(SAMPLES[name])
    assert ("refused" in answer) == (name in ("video", "video with sound", "old office")), answer
    assert "crashed" not in answer


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=mutated())
def test_a_mutated_file_is_refused_with_a_sentence_or_kept(content: bytes, examine: Examiner) -> None:
    answer = examine(content)
    assert "crashed" not in answer, answer["crashed"]
    if "refused" in answer:
        assert answer["refused"].endswith(".")
        assert answer["refused"].isprintable()
        assert len(answer["refused"]) <= len(IN_WORDS) + 20
        return
    assert answer["kind"] in KINDS
    # What is kept can be sent again, and is the same kind of file; but a single frame is not told from noise.
    again = examine(bytes.fromhex(answer["kept"]))
    assert again.get("kind") == answer["kind"] or (answer["duration"] or 1000) < SHORTEST_MS, again


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(start=st.sampled_from([content[:16] for content in SAMPLES.values()]), rest=st.binary(max_size=2000))
def test_what_only_begins_like_a_file_is_no_file(start: bytes, rest: bytes, examine: Examiner) -> None:
    answer = examine(start + rest)
    assert "crashed" not in answer, answer["crashed"]
