"""Pictures are written again: what is seen stays, what is not seen goes, and large ones are scaled down."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import pytest
from PIL import Image, ImageCms
from PIL.ExifTags import GPS, IFD, Base
from PIL.PngImagePlugin import PngInfo

from rdchat.files import kinds, pictures
from rdchat.files.examination import examine
from rdchat.files.kinds import UnacceptableError
from tests.support.forms import photo

#: Written into every corner that a format has for it; in no picture that is kept.
TELLTALE = "Jalan Melati 5"
KINDS = {
    "JPEG": kinds.JPEG,
    "PNG": kinds.PNG,
    "GIF": kinds.GIF,
    "WEBP": kinds.WEBP,
    "HEIF": kinds.HEIC,
    "AVIF": kinds.AVIF,
}
#: As what each is kept, by Pillow's names.
KEPT = {**{form: form for form in KINDS}, "GIF": "PNG", "HEIF": "JPEG", "AVIF": "JPEG"}
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
    if form != "GIF":
        options["exif"] = exif(orientation).tobytes()
    if form in ("JPEG", "WEBP", "HEIF", "AVIF"):
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
    kind, after, width, height = pictures.rewrite(before, KINDS[form])
    assert TELLTALE.encode() not in after
    picture = seen(after)
    assert (picture.format, picture.size, (width, height)) == (KEPT[form], (60, 40), (60, 40))
    assert KINDS[KEPT[form]] is kind
    assert not picture.getexif()
    assert not picture.getexif().get_ifd(IFD.GPSInfo)
    assert not {"exif", "xmp", "icc_profile", "comment", "Comment", "XML:com.adobe.xmp", "Packed"} & set(
        picture.info
    )
    pixels = picture.convert("RGB")
    assert nearly(pixels.getpixel((5, 20)), (255, 0, 0))
    assert nearly(pixels.getpixel((55, 20)), (0, 0, 255))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "HEIF", "AVIF"])
def test_a_picture_is_turned_as_its_metadata_say(form: str) -> None:
    # 6: the camera was held on its side; the first row of the file is the right edge of what is seen.
    # A HEIC and an AVIF say so in a property of the image, as those of telephones do.
    assert (b"irot" in with_metadata(form, orientation=6)) == (form in ("HEIF", "AVIF"))
    _, after, width, height = pictures.rewrite(with_metadata(form, orientation=6), KINDS[form])
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
        _, after, _, _ = pictures.rewrite(out.getvalue(), KINDS[form])
        assert seen(after).convert("RGBA").getpixel((5, 5)) == (0, 255, 0, 128)
    hole = Image.new("P", (10, 10), 3)
    hole.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255])
    hole.putpixel((0, 0), 1)
    out = io.BytesIO()
    hole.save(out, "GIF", transparency=1)
    _, after, _, _ = pictures.rewrite(out.getvalue(), kinds.GIF)
    shown = seen(after).convert("RGBA")
    assert shown.getpixel((0, 0))[3] == 0  # type: ignore[index]
    assert shown.getpixel((5, 5)) == (0, 0, 255, 255)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_png_of_every_mode(mode: str) -> None:
    out = io.BytesIO()
    Image.new(mode, (7, 5)).save(out, "PNG")
    _, after, width, height = pictures.rewrite(out.getvalue(), kinds.PNG)
    assert (width, height) == seen(after).size == (7, 5)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_jpeg_of_every_mode_is_one_that_browsers_show(mode: str) -> None:
    out = io.BytesIO()
    Image.new(mode, (16, 16)).save(out, "JPEG")
    _, after, _, _ = pictures.rewrite(out.getvalue(), kinds.JPEG)
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


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "HEIF", "AVIF"])
def test_of_an_animation_the_first_frame_is_kept(form: str) -> None:
    out = io.BytesIO()
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "green", "blue")]
    frames[0].save(out, form, save_all=True, append_images=frames[1:], duration=100)
    with Image.open(io.BytesIO(out.getvalue())) as moving:
        assert moving.n_frames == 3  # type: ignore[attr-defined]
    _, after, _, _ = pictures.rewrite(out.getvalue(), KINDS[form])
    picture = seen(after)
    assert picture.format == KEPT[form]
    assert getattr(picture, "n_frames", 1) == 1
    assert nearly(picture.convert("RGB").getpixel((8, 8)), (255, 0, 0))
    assert pictures.rewrite(out.getvalue(), KINDS[form])[1] == after


@each_form
def test_large_pictures_are_scaled_down(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "KEPT_PIXELS", 100_000)
    kind, after, width, height = pictures.rewrite(photo(500, 300, form), KINDS[form])
    picture = seen(after)
    assert KINDS[KEPT[form]] is kind
    assert picture.size == (width, height)
    assert 0.99 * pictures.KEPT_PIXELS < width * height <= pictures.KEPT_PIXELS
    assert width / height == pytest.approx(5 / 3, rel=0.01)
    pixels = picture.convert("RGB")
    assert nearly(pixels.getpixel((width // 4, height // 2)), (255, 0, 0))
    assert nearly(pixels.getpixel((width * 3 // 4, height // 2)), (0, 0, 255))


def test_a_large_picture_that_is_cut_off_is_said_to_be() -> None:
    noise = Image.effect_noise((5000, 3000), 90)
    out = io.BytesIO()
    noise.save(out, "JPEG", quality=50)
    with pytest.raises(UnacceptableError, match=r"^The image is cut off in the middle\.$"):
        examine(out.getvalue()[:-20_000])


def test_a_large_picture_is_turned_too() -> None:
    _, after, width, height = pictures.rewrite(
        photo(5000, 3000, "JPEG", exif=exif(orientation=6)), kinds.JPEG
    )
    assert seen(after).size == (width, height)
    assert width < height
    assert nearly(seen(after).getpixel((width // 2, height // 4)), (255, 0, 0))


def test_a_telephones_usual_picture_is_kept_as_large_as_it_is() -> None:
    _, after, width, height = pictures.rewrite(photo(4032, 3024, "JPEG", quality=80), kinds.JPEG)
    assert (width, height) == (4032, 3024)
    # And as finely as it was.
    given = Image.open(io.BytesIO(photo(8, 8, "JPEG", quality=80)))
    assert seen(after).quantization == given.quantization  # type: ignore[attr-defined]


def test_a_long_screenshot_stays_legible() -> None:
    _, _, width, height = pictures.rewrite(photo(1080, 14_000, "PNG"), kinds.PNG)
    assert width > 900
    _, _, width, height = pictures.rewrite(photo(300, 20_000, "PNG"), kinds.PNG)
    assert (width, height) == (240, pictures.KEPT_SIDE)
    _, _, width, height = pictures.rewrite(photo(20_000, 1, "PNG"), kinds.PNG)
    assert (width, height) == (pictures.KEPT_SIDE, 1)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16"])
def test_large_png_of_every_mode(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "KEPT_PIXELS", 10_000)
    out = io.BytesIO()
    Image.new(mode, (420, 320)).save(out, "PNG")
    _, after, width, height = pictures.rewrite(out.getvalue(), kinds.PNG)
    assert seen(after).size == (width, height)


def display_p3() -> bytes:
    """A profile whose red is another than that of sRGB, as that of a telephone's display is."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    description = profile.find(b"sRGB")
    while description >= 0:
        profile[description : description + 4] = b"wide"
        description = profile.find(b"sRGB")
    wide = "sRGB".encode("utf-16-be")
    while (at := profile.find(wide)) >= 0:
        profile[at : at + len(wide)] = "wide".encode("utf-16-be")
    # Red and green change places, which no one can overlook.
    count = int.from_bytes(profile[128:132], "big")
    tags = {bytes(profile[at : at + 4]): at for at in range(132, 132 + 12 * count, 12)}
    red, green = tags[b"rXYZ"], tags[b"gXYZ"]
    profile[red : red + 4], profile[green : green + 4] = b"gXYZ", b"rXYZ"
    return bytes(profile)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "HEIF", "AVIF"])
@pytest.mark.parametrize("width", [60, 600])
def test_colours_of_another_profile_become_those_of_srgb(
    form: str, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pictures, "KEPT_PIXELS", 100_000)
    content = photo(width, width * 2 // 3, form, icc_profile=display_p3())
    _, after, width, height = pictures.rewrite(content, KINDS[form])
    picture = seen(after)
    assert "icc_profile" not in picture.info
    assert nearly(picture.convert("RGB").getpixel((width // 4, height // 2)), (0, 255, 0))


def test_what_is_seen_through_in_a_heic_is_white() -> None:
    for form in ("HEIF", "AVIF"):
        out = io.BytesIO()
        Image.new("RGBA", (16, 16), (0, 255, 0, 0)).save(out, form)
        _, after, _, _ = pictures.rewrite(out.getvalue(), KINDS[form])
        assert nearly(seen(after).getpixel((8, 8)), (255, 255, 255))


def png_that_says(width: int, height: int) -> bytes:
    """A picture of few bytes that claims to be large, and would be: it unpacks to nothing but zeros."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    packed = zlib.compress(bytes((width // 8 + 2) * min(height, 10_000)), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("width", "height"), [(8001, 8000), (64_000_001, 1), (60_000, 60_000), (2**31 - 1, 2**31 - 1)]
)
def test_bombs_are_refused_before_they_are_unpacked(
    width: int, height: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    bomb = png_that_says(min(width, 10_000), min(height, 10_000))
    bomb = bomb[:16] + struct.pack(">II", width, height) + bomb[24:]
    head = bomb[12:29]
    bomb = bomb[:29] + struct.pack(">I", zlib.crc32(head)) + bomb[33:]
    monkeypatch.setattr(Image.Image, "load", lambda _: pytest.fail("it was unpacked"))
    with pytest.raises(UnacceptableError) as caught:
        examine(bomb)
    assert str(caught.value) == "The image has too many pixels: 64 million at most, as PNG."


def jpeg_that_says(width: int, height: int) -> bytes:
    content = photo(form="JPEG")
    frame = content.index(b"\xff\xc0") + 5
    return content[:frame] + struct.pack(">HH", height, width) + content[frame + 4 :]


def test_how_many_pixels_a_picture_of_each_kind_may_have(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        UnacceptableError, match=r"^The image has too many pixels: 256 million at most, as JPEG\.$"
    ):
        examine(jpeg_that_says(16_001, 16_000))
    assert examine(jpeg_that_says(16_000, 16_000)).width == 3547
    for form in ("GIF", "WEBP", "HEIF", "AVIF"):
        monkeypatch.setitem(pictures.MOST_MILLIONS, KINDS[form], 1)
        with pytest.raises(
            UnacceptableError, match=r"^The image has too many pixels: 1 million at most, as "
        ):
            examine(photo(1001, 1000, form))
        assert examine(photo(1000, 1000, form)).width == 1000


def test_a_picture_that_takes_too_much_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_memory(*_: object) -> None:
        raise MemoryError

    content = photo()
    monkeypatch.setattr(Image.Image, "load", without_memory)
    with pytest.raises(
        UnacceptableError, match=r"^The image takes too much memory to open\. Send it smaller\.$"
    ):
        examine(content)


@each_form
def test_broken_pictures_are_refused(form: str) -> None:
    whole = photo(400, 300, form)
    for broken in (whole[: len(whole) // 2], whole[:24], whole[:20] + b"\0" * 40, whole[:30] + whole[60:]):
        # What is left of a GIF may say that it is enormous.
        with pytest.raises(UnacceptableError, match=r"^The image (is damaged|is cut off|has too many)"):
            examine(broken)


@each_form
def test_a_picture_that_is_cut_off_is_said_to_be(form: str) -> None:
    noise = Image.effect_noise((200, 200), 90).convert("RGB")
    out = io.BytesIO()
    noise.save(out, form)
    whole = out.getvalue()
    with pytest.raises(UnacceptableError) as caught:
        examine(whole[: len(whole) * 2 // 3])
    assert str(caught.value) == "The image is cut off in the middle."


def test_text_that_unpacks_without_end_is_refused() -> None:
    info = PngInfo()
    info.add_text("Comment", "x" * 200_000_000, zip=True)
    with pytest.raises(UnacceptableError, match="The image is damaged"):
        pictures.rewrite(photo(pnginfo=info), kinds.PNG)


@each_form
def test_the_same_picture_again_is_the_same(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "KEPT_PIXELS", 100_000)
    noise = Image.effect_noise((500, 400), 90).convert("RGB")
    out = io.BytesIO()
    noise.save(out, form)
    for content in (photo(form=form), out.getvalue()):
        assert examine(content) == examine(content)
