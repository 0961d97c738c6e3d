"""Pictures are written anew: what is seen stays, what is not seen goes, and nothing is too large to bear."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import pytest
from PIL import Image
from PIL.ExifTags import GPS, IFD, Base
from PIL.PngImagePlugin import PngInfo

from rdchat.files import kinds, pictures
from rdchat.files.examination import examine
from rdchat.files.kinds import UnacceptableError
from tests.support.forms import photo

#: Written into every corner that a format has for it; in no picture that is kept.
TELLTALE = "Jalan Melati 5"
KINDS = {"JPEG": kinds.JPEG, "PNG": kinds.PNG, "GIF": kinds.GIF, "WEBP": kinds.WEBP}
each_form = pytest.mark.parametrize("form", KINDS)


def exif(orientation: int = 1) -> Image.Exif:
    made = Image.Exif()
    made[Base.Make] = TELLTALE
    made[Base.Orientation] = orientation
    made.get_ifd(IFD.GPSInfo)[GPS.GPSLatitudeRef] = TELLTALE
    made.get_ifd(IFD.GPSInfo)[GPS.GPSLatitude] = (6.0, 12.0, 31.5)
    return made


def with_metadata(form: str, orientation: int = 1) -> bytes:
    """A picture with everything beside its pixels that the format allows."""
    secret = TELLTALE.encode()
    options: dict[str, Any] = {"icc_profile": secret * 20}
    if form in ("JPEG", "PNG", "WEBP"):
        options["exif"] = exif(orientation)
    if form in ("JPEG", "WEBP"):
        options["xmp"] = b"<x:xmpmeta>" + secret + b"</x:xmpmeta>"
    if form in ("JPEG", "GIF"):
        options["comment"] = secret
    if form == "PNG":
        info = PngInfo()
        info.add_text("Comment", TELLTALE)
        info.add_itxt("XML:com.adobe.xmp", TELLTALE)
        info.add_text("Packed", TELLTALE * 100, zip=True)
        options["pnginfo"] = info
    return photo(form=form, **options) + secret


def seen(content: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(content))
    picture.load()
    return picture


def nearly(pixel: Any, colour: tuple[int, int, int]) -> bool:
    return all(abs(one - other) < 24 for one, other in zip(pixel, colour, strict=True))


@each_form
def test_nothing_is_left_but_what_is_seen(form: str) -> None:
    before = with_metadata(form)
    assert TELLTALE.encode() in before
    after, width, height = pictures.rewrite(before, KINDS[form])
    assert TELLTALE.encode() not in after
    picture = seen(after)
    assert (picture.format, picture.size, (width, height)) == (form, (60, 40), (60, 40))
    assert not picture.getexif()
    assert not picture.getexif().get_ifd(IFD.GPSInfo)
    assert not {"exif", "xmp", "icc_profile", "comment", "Comment", "XML:com.adobe.xmp", "Packed"} & set(
        picture.info
    )
    pixels = picture.convert("RGB")
    assert nearly(pixels.getpixel((5, 20)), (255, 0, 0))
    assert nearly(pixels.getpixel((55, 20)), (0, 0, 255))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_a_picture_is_turned_as_its_metadata_say(form: str) -> None:
    # 6: the camera was held on its side; the first row of the file is the right edge of what is seen.
    after, width, height = pictures.rewrite(with_metadata(form, orientation=6), KINDS[form])
    picture = seen(after)
    assert (width, height) == picture.size == (40, 60)
    assert TELLTALE.encode() not in after
    assert not picture.getexif()
    pixels = picture.convert("RGB")
    assert nearly(pixels.getpixel((20, 5)), (255, 0, 0))
    assert nearly(pixels.getpixel((20, 55)), (0, 0, 255))


def test_what_is_seen_through_stays_so() -> None:
    half = Image.new("RGBA", (10, 10), (0, 255, 0, 128))
    for form in ("PNG", "WEBP"):
        out = io.BytesIO()
        half.save(out, form, lossless=True)
        after, _, _ = pictures.rewrite(out.getvalue(), KINDS[form])
        assert seen(after).convert("RGBA").getpixel((5, 5)) == (0, 255, 0, 128)
    hole = Image.new("P", (10, 10), 3)
    hole.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
    hole.putpixel((0, 0), 1)
    out = io.BytesIO()
    hole.save(out, "GIF", transparency=1)
    after, _, _ = pictures.rewrite(out.getvalue(), kinds.GIF)
    shown = seen(after).convert("RGBA")
    assert shown.getpixel((0, 0))[3] == 0  # type: ignore[index]
    assert shown.getpixel((5, 5)) == (0, 0, 255, 255)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_png_of_every_mode(mode: str) -> None:
    out = io.BytesIO()
    Image.new(mode, (7, 5)).save(out, "PNG")
    after, width, height = pictures.rewrite(out.getvalue(), kinds.PNG)
    assert (width, height) == seen(after).size == (7, 5)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_jpeg_of_every_mode_is_one_that_browsers_show(mode: str) -> None:
    out = io.BytesIO()
    Image.new(mode, (16, 16)).save(out, "JPEG")
    after, _, _ = pictures.rewrite(out.getvalue(), kinds.JPEG)
    assert seen(after).mode in ("L", "RGB")


def test_of_two_pictures_in_one_jpeg_the_first_is_kept() -> None:
    out = io.BytesIO()
    first, second = (Image.new("RGB", (16, 16), colour) for colour in ("red", "blue"))
    first.save(out, "MPO", save_all=True, append_images=[second])
    finding = examine(out.getvalue())
    assert finding.kind is kinds.JPEG
    picture = seen(finding.rewritten or b"")
    assert picture.format == "JPEG"
    assert nearly(picture.getpixel((8, 8)), (255, 0, 0))


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG"])
def test_animations_are_refused(form: str) -> None:
    out = io.BytesIO()
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "green", "blue")]
    frames[0].save(out, form, save_all=True, append_images=frames[1:], duration=100)
    with pytest.raises(UnacceptableError, match="animated"):
        pictures.rewrite(out.getvalue(), KINDS[form])


def png_that_says(width: int, height: int) -> bytes:
    """A picture of few bytes that claims to be large, and would be: it unpacks to nothing but zeros."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    packed = zlib.compress(bytes((width // 8 + 2) * min(height, 10_000)), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("width", "height"), [(8193, 1), (1, 8193), (8000, 5001), (60_000, 60_000), (2**31 - 1, 2**31 - 1)]
)
def test_bombs_are_refused_before_they_are_unpacked(
    width: int, height: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    bomb = png_that_says(min(width, 10_000), min(height, 10_000))
    bomb = bomb[:16] + struct.pack(">II", width, height) + bomb[24:]
    head = bomb[12:29]
    bomb = bomb[:29] + struct.pack(">I", zlib.crc32(head)) + bomb[33:]
    monkeypatch.setattr(Image.Image, "load", lambda _: pytest.fail("it was unpacked"))
    with pytest.raises(UnacceptableError, match="8192 pixels on each side and 40 million"):
        pictures.rewrite(bomb, kinds.PNG)


def test_the_largest_pictures_are_taken() -> None:
    after, width, height = pictures.rewrite(png_that_says(8192, 8), kinds.PNG)
    assert (width, height) == seen(after).size == (8192, 8)


@each_form
def test_broken_pictures_are_refused(form: str) -> None:
    whole = photo(400, 300, form)
    for broken in (whole[: len(whole) // 2], whole[:12], whole[:20] + b"\0" * 40, whole[:30] + whole[60:]):
        # What is left of a GIF may say that it is enormous.
        with pytest.raises(UnacceptableError, match=r"^The image (is damaged|must have at most)"):
            examine(broken)


def test_text_that_unpacks_without_end_is_refused() -> None:
    info = PngInfo()
    info.add_text("Comment", "x" * 200_000_000, zip=True)
    with pytest.raises(UnacceptableError, match="The image is damaged"):
        pictures.rewrite(photo(pnginfo=info), kinds.PNG)
