"""Pictures: decoded within bounds, scaled down where they are large, and re-encoded from their pixels.

The photograph of a telephone tells where it was taken. What is written here has no EXIF, no XMP, no colour
profile, no comments: only the picture, rotated as its EXIF says, in the colours of sRGB. Anything appended
behind the pixels of a file is dropped as well, and all frames of an animation but the first.
"""

from __future__ import annotations

import io
import math
import struct
import warnings
import zlib
from typing import TYPE_CHECKING, Any, Final

from PIL import Image, ImageCms, ImageOps

from rdchat.files import kinds
from rdchat.files.kinds import UnacceptableError

if TYPE_CHECKING:
    from rdchat.files.kinds import Kind

#: What is kept: a telephone's usual picture (4032 x 3024) as it is, and nothing that browsers cannot draw.
KEPT_PIXELS: Final = 4096 * 3072
KEPT_SIDE: Final = 16_000
#: What is decoded, in millions of pixels. A JPEG is decoded at a fraction of its size; of the others, all
#: pixels have to be in memory at once.
MOST_MILLIONS: Final = {
    kinds.JPEG: 256,
    kinds.HEIC: 128,
    kinds.PNG: 64,
    kinds.GIF: 64,
    kinds.WEBP: 64,
    kinds.AVIF: 64,
}
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
    RuntimeError,
    struct.error,
    zlib.error,
)
_CUT_OFF: Final = ("truncated", "Truncated", "end of file")
_JPEG_QUALITY: Final = 92
_WEBP_QUALITY: Final = 90

_FORMATS: Final[dict[Kind, tuple[str, ...]]] = {
    # Two pictures in one file (left and right eye, say) are a JPEG by its content, and an MPO to Pillow.
    kinds.JPEG: ("JPEG", "MPO"),
    kinds.PNG: ("PNG",),
    kinds.GIF: ("GIF",),
    kinds.WEBP: ("WEBP",),
    kinds.AVIF: ("AVIF",),
    kinds.HEIC: ("HEIF",),
}
#: The key for transparency; all other information about a picture is dropped.
_SEEN: Final = frozenset({"transparency"})
#: The modes that can be scaled and whose colours can be converted.
_PLAIN: Final = frozenset({"L", "LA", "RGB", "RGBA", "CMYK"})


def rewrite(content: bytes, kind: Kind) -> tuple[Kind, bytes, int, int]:
    """Re-encode a picture. Return what it has become, and its width and height in pixels.

    Raise UnacceptableError: too many pixels, or broken.
    """
    if kind is kinds.HEIC:
        _prepare_heic()
    Image.MAX_IMAGE_PIXELS = MOST_MILLIONS[kind] * 1_000_000
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            # Only the head is read here; the pixels are decoded once its size is known to be acceptable.
            with Image.open(io.BytesIO(content), formats=_FORMATS[kind]) as picture:
                if picture.width * picture.height > Image.MAX_IMAGE_PIXELS:
                    raise _too_large(kind)
                return _written(picture, kind, content)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large(kind) from error
    except MemoryError as error:
        raise UnacceptableError("The image takes too much memory to open. Send it smaller.") from error
    except _BROKEN as error:
        is_cut_off = any(words in str(error) for words in _CUT_OFF) or _promises_more(content, kind)
        text = "The image is cut off in the middle." if is_cut_off else "The image is damaged."
        raise UnacceptableError(text) from error


def _promises_more(content: bytes, kind: Kind) -> bool:
    """Return whether a file says that it is longer than it is."""
    if kind is kinds.WEBP:
        return int.from_bytes(content[4:8], "little") + 8 > len(content)
    at = 0
    if kind in (kinds.HEIC, kinds.AVIF):
        # From box to box; one of less than eight bytes has another way to say its size.
        while (size := int.from_bytes(content[at : at + 4], "big")) >= 8:  # noqa: PLR2004
            at += size
    return at > len(content)


def _too_large(kind: Kind) -> UnacceptableError:
    name = kind.content_type.removeprefix("image/").upper()
    return UnacceptableError(
        f"The image has too many pixels: {MOST_MILLIONS[kind]} million at most, as {name}."
    )


def _prepare_heic() -> None:
    # Its library takes longer to load than most pictures to examine.
    import pillow_heif  # noqa: PLC0415

    # An embedded thumbnail need not show what the picture shows.
    pillow_heif.options.THUMBNAILS = False
    pillow_heif.register_heif_opener()


def _written(picture: Image.Image, kind: Kind, content: bytes) -> tuple[Kind, bytes, int, int]:
    # Of a HEIC, the decoder has applied it.
    orientation = picture.getexif().get(_ORIENTATION, _UPRIGHT)
    seen = _scaled(picture)
    if orientation != _UPRIGHT:
        seen = ImageOps.exif_transpose(seen)
    seen = _in_srgb(seen, picture.info.get("icc_profile"))
    kept = kinds.KEPT_AS.get(kind, kind)
    if kept is kinds.JPEG and seen.mode not in ("RGB", "L"):
        seen = _on_white(seen)
    seen.info = {name: value for name, value in seen.info.items() if name in _SEEN}
    out = io.BytesIO()
    seen.save(out, **_options(seen, kept, content, is_as_it_was=seen is picture))
    return kept, out.getvalue(), seen.width, seen.height


def _scaled(picture: Image.Image) -> Image.Image:
    """Decode a picture, at the size that it is kept with."""
    width, height = picture.size
    factor = min(1.0, math.sqrt(KEPT_PIXELS / (width * height)), KEPT_SIDE / max(width, height))
    if factor == 1.0:
        picture.load()
        return picture
    size = max(1, math.floor(width * factor)), max(1, math.floor(height * factor))
    # A JPEG decodes to a half, a quarter or an eighth at a fraction of the work and memory.
    picture.draft(None, size)
    picture.load()
    plain = picture
    if picture.mode not in _PLAIN:
        plain = picture.convert("RGBA" if picture.has_transparency_data else "RGB")
    return plain.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)


def _in_srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert colours that another profile gives their meaning: telephones write Display P3."""
    if not profile or picture.mode not in ("RGB", "RGBA", "CMYK"):
        return picture
    try:
        given = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "sRGB" in ImageCms.getProfileDescription(given):
            return picture
        made = ImageCms.profileToProfile(
            picture,
            given,
            ImageCms.createProfile("sRGB"),
            outputMode="RGBA" if picture.mode == "RGBA" else "RGB",
        )
    except (ImageCms.PyCMSError, OSError, ValueError):
        # A profile that means nothing: without it, browsers would show the picture as it is.
        return picture
    return made or picture


def _on_white(picture: Image.Image) -> Image.Image:
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    over = picture.convert("RGBA")
    white = Image.new("RGBA", over.size, "white")
    return Image.alpha_composite(white, over).convert("RGB")


def _options(picture: Image.Image, kept: Kind, content: bytes, *, is_as_it_was: bool) -> dict[str, Any]:
    if kept is kinds.JPEG:
        # With its original quantisation tables, it loses almost nothing when it is compressed again.
        keeps = is_as_it_was and picture.format == "JPEG"
        return {"format": "JPEG", "quality": "keep" if keeps else _JPEG_QUALITY}
    if kept is kinds.WEBP:
        return {"format": "WEBP", "lossless": b"VP8L" in content[:64], "quality": _WEBP_QUALITY}
    return {"format": "PNG"}
