"""Pictures: decoded within bounds, and re-encoded from their pixels, so that nothing else is left in them.

The photograph of a telephone tells where it was taken. What is written here has no EXIF, no XMP, no colour
profile, no comments: only the picture, rotated as its EXIF says. Anything appended behind the pixels of a
file is dropped as well.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from typing import TYPE_CHECKING, Any, Final

from PIL import Image, ImageOps

from rdchat.files import kinds
from rdchat.files.kinds import UnacceptableError

if TYPE_CHECKING:
    from rdchat.files.kinds import Kind

LONGEST_SIDE: Final = 8192
MOST_PIXELS: Final = 40_000_000
_ORIENTATION: Final = 0x0112
_UPRIGHT: Final = 1
#: What Pillow raises for content that does not match its first bytes.
_BROKEN: Final = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    OverflowError,
    struct.error,
    zlib.error,
)
_JPEG_QUALITY: Final = 92
_WEBP_QUALITY: Final = 90

_FORMATS: Final[dict[Kind, tuple[str, ...]]] = {
    # Two pictures in one file (left and right eye, say) are a JPEG by its content, and an MPO to Pillow.
    kinds.JPEG: ("JPEG", "MPO"),
    kinds.PNG: ("PNG",),
    kinds.GIF: ("GIF",),
    kinds.WEBP: ("WEBP",),
}
#: The key for transparency; all other information about a picture is dropped.
_SEEN: Final = frozenset({"transparency"})


def rewrite(content: bytes, kind: Kind) -> tuple[bytes, int, int]:
    """Re-encode a picture. Return it, and its width and height in pixels.

    Raise UnacceptableError: too many pixels, moving, or broken.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            # Only the head is read here; the pixels are decoded once its size is known to be acceptable.
            with Image.open(io.BytesIO(content), formats=_FORMATS[kind]) as picture:
                _check(picture)
                return _written(picture, kind, content)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning, MemoryError) as error:
        raise UnacceptableError(_TOO_LARGE) from error
    except _BROKEN as error:
        raise UnacceptableError("The image is damaged.") from error


_TOO_LARGE: Final = (
    f"The image must have at most {LONGEST_SIDE} pixels on each side and {MOST_PIXELS // 1_000_000} million "
    "pixels in all."
)


def _check(picture: Image.Image) -> None:
    width, height = picture.size
    if max(width, height) > LONGEST_SIDE or width * height > MOST_PIXELS:
        raise UnacceptableError(_TOO_LARGE)
    if picture.format != "MPO" and getattr(picture, "n_frames", 1) > 1:
        raise UnacceptableError("The image must not be animated.")


def _written(picture: Image.Image, kind: Kind, content: bytes) -> tuple[bytes, int, int]:
    orientation = picture.getexif().get(_ORIENTATION, _UPRIGHT)
    picture.load()
    options = _options(picture, kind, content)
    seen = picture
    if orientation != _UPRIGHT:
        seen = ImageOps.exif_transpose(picture)
        if kind is kinds.JPEG:
            options["quality"] = _JPEG_QUALITY
    if kind is kinds.JPEG and seen.mode not in ("RGB", "L"):
        seen = seen.convert("RGB")
        options["quality"] = _JPEG_QUALITY
    seen.info = {name: value for name, value in seen.info.items() if name in _SEEN}
    out = io.BytesIO()
    seen.save(out, **options)
    return out.getvalue(), seen.width, seen.height


def _options(picture: Image.Image, kind: Kind, content: bytes) -> dict[str, Any]:
    if kind is kinds.JPEG:
        # With its original quantisation tables, it loses almost nothing when it is compressed again.
        return {"format": "JPEG", "quality": "keep" if picture.format == "JPEG" else _JPEG_QUALITY}
    if kind is kinds.WEBP:
        return {"format": "WEBP", "lossless": b"VP8L" in content[:64], "quality": _WEBP_QUALITY}
    return {"format": _FORMATS[kind][0]}
