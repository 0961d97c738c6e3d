"""A telephone's largest pictures, within the memory and the time of the program that examines them."""

from __future__ import annotations

import io
import subprocess
import sys
from typing import Any

import pillow_heif
import pytest
from PIL import Image
from PIL.ExifTags import GPS, IFD, Base

from rdchat.common.errors import RdchatError
from rdchat.files.examiner import Examiner, Upload
from rdchat.files.pictures import KEPT_PIXELS
from tests.support.forms import photo

LARGEST = 64 * 1024 * 1024


@pytest.mark.parametrize(
    ("width", "height"),
    [
        (4032, 3024),  # 12 million pixels, as nearly all
        (8160, 6120),  # 50
        (12_000, 9000),  # 108
        (16_320, 12_240),  # 200
    ],
)
async def test_jpeg_of_a_telephone(width: int, height: int) -> None:
    content = photo(width, height, "JPEG", quality=70)
    examined = await Examiner(largest=2 * LARGEST).examine(Upload("foto.jpg", content))
    assert examined.width is not None
    assert examined.height is not None
    assert examined.width / examined.height == pytest.approx(width / height, rel=0.001)
    assert examined.width * examined.height <= KEPT_PIXELS
    assert examined.width >= 4032
    shown = Image.open(io.BytesIO(examined.content))
    assert shown.size == (examined.width, examined.height)


def test_200_million_pixels_take_less_memory_than_they_would_decoded() -> None:
    with_less = "from rdchat.files import examination as e; e.MEMORY_BYTES = 640 * 1024**2; e.main()"
    content = photo(16_320, 12_240, "JPEG", quality=70)
    examined = subprocess.run(
        [sys.executable, "-c", with_less], input=content, capture_output=True, check=True, timeout=60
    )
    assert b'"width": 4096' in examined.stdout.partition(b"\n")[0]


async def test_a_bomb_is_refused() -> None:
    """More than a gigabyte of nothing, in some kilobytes."""
    bomb = photo(20_000, 20_000, mode="1", compress_level=1)
    assert len(bomb) < 1_000_000
    with pytest.raises(RdchatError) as caught:
        await Examiner(largest=LARGEST).examine(Upload("bom.png", bomb))
    assert caught.value.fields == {
        "file": ["The image has too many pixels: 64 million at most, as PNG."],
    }


async def test_heic_of_an_iphone(monkeypatch: pytest.MonkeyPatch) -> None:
    """12 million pixels in tiles of 512, turned by `irot`, with a place in EXIF, as iPhones write them."""
    monkeypatch.setattr(pillow_heif.options, "GRID_TILE_SIZE", 512)
    told = Image.Exif()
    told[Base.Orientation] = 6
    told[Base.Make] = "Apple"
    told.get_ifd(IFD.GPSInfo)[GPS.GPSLatitudeRef] = "Jalan Melati 5"
    content = photo(4032, 3024, "HEIF", quality=30, exif=told.tobytes(), enc_params={"preset": "ultrafast"})
    for sign in (b"grid", b"irot", b"Jalan Melati 5", b"Apple"):
        assert sign in content
    examined = await Examiner(largest=LARGEST).examine(Upload("IMG_0017.HEIC", content))
    assert (examined.content_type, examined.file_name) == ("image/jpeg", "IMG_0017.jpg")
    assert (examined.width, examined.height) == (3024, 4032)
    for sign in (b"Exif", b"Jalan Melati 5", b"Apple"):
        assert sign not in examined.content
    pixel: Any = Image.open(io.BytesIO(examined.content)).getpixel((1500, 500))
    assert pixel[0] > 200
    assert pixel[2] < 50
