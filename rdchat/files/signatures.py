"""What the first bytes of a file say that it is: a kind that may be sent, or one that is refused by name."""

from __future__ import annotations

import re
from typing import Final

from rdchat.files import kinds
from rdchat.files.kinds import Kind, UnacceptableError

_PICTURES_AND_RECORDINGS: Final = (
    (b"\xff\xd8\xff", kinds.JPEG),
    (b"\x89PNG\r\n\x1a\n", kinds.PNG),
    (b"GIF87a", kinds.GIF),
    (b"GIF89a", kinds.GIF),
    (b"OggS\0", kinds.OGG),
    (b"\x1a\x45\xdf\xa3", kinds.WEBM),
)
#: A tag with its version, or the head of a frame of layer 3.
_MPEG_AUDIO: Final = re.compile(rb"ID3[\x02-\x04]|\xff[\xe2\xe3\xf2\xf3\xfa\xfb][\x00-\xef]")
_BOX_HEAD: Final = 8
_MOST_BRANDS: Final = 512
#: The brands of ISO base media files (ISO 14496-12) that are still pictures, and the sequences of such.
_AVIF_BRANDS: Final = frozenset({b"avif", b"avis"})
_HEIC_BRANDS: Final = frozenset(
    {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"mif2", b"msf1"}
)

_AS_JPEG: Final = "Send it as JPEG or PNG."
_AS_M4A: Final = "Send it as M4A, MP3, Ogg, WebM or WAV."
_PROGRAM: Final = ("a program", "Programs cannot be sent.")
_VIDEO: Final = ("a video", "Videos cannot be sent.")
_ARCHIVE: Final = ("an archive", "Send the files that are in it one by one.")

#: What is refused, by its first bytes: its name, and what to do instead.
_FOREIGN: Final[tuple[tuple[bytes, tuple[str, str]], ...]] = (
    (b"MZ", _PROGRAM),
    (b"\x7fELF", _PROGRAM),
    (b"\xca\xfe\xba\xbe", _PROGRAM),
    (b"\xfe\xed\xfa", _PROGRAM),
    (b"\xce\xfa\xed\xfe", _PROGRAM),
    (b"\xcf\xfa\xed\xfe", _PROGRAM),
    (b"dex\n", _PROGRAM),
    (b"\0asm", _PROGRAM),
    (b"L\0\0\0\x01\x14\x02\0", _PROGRAM),
    (b"Rar!\x1a\x07", _ARCHIVE),
    (b"7z\xbc\xaf\x27\x1c", _ARCHIVE),
    (b"\x1f\x8b", _ARCHIVE),
    (b"BZh", _ARCHIVE),
    (b"\xfd7zXZ\0", _ARCHIVE),
    (b"\x28\xb5\x2f\xfd", _ARCHIVE),
    (b"PK\x05\x06", _ARCHIVE),
    (b"\0\0\x01\xba", _VIDEO),
    (b"\0\0\x01\xb3", _VIDEO),
    (b"FLV\x01", _VIDEO),
    (b"#!AMR", ("an AMR recording", _AS_M4A)),
    (b"\xff\xf1", ("an AAC stream", _AS_M4A)),
    (b"\xff\xf9", ("an AAC stream", _AS_M4A)),
    (b"fLaC", ("a FLAC recording", _AS_M4A)),
    (b"FORM", ("an AIFF recording", _AS_M4A)),
    (b"caff", ("a CAF recording", _AS_M4A)),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", ("a Windows Media file", _AS_M4A)),
    (b"MThd", ("a MIDI file", _AS_M4A)),
    (b"II*\0", ("a TIFF or raw image", _AS_JPEG)),
    (b"MM\0*", ("a TIFF or raw image", _AS_JPEG)),
    (b"\xff\x0a", ("a JPEG XL image", _AS_JPEG)),
    (b"\0\0\0\x0cJXL ", ("a JPEG XL image", _AS_JPEG)),
    (b"\0\0\0\x0cjP  ", ("a JPEG 2000 image", _AS_JPEG)),
    (b"8BPS", ("a Photoshop image", _AS_JPEG)),
    (b"\0\0\x01\0", ("an icon", _AS_JPEG)),
    (b"BM", ("a BMP image", _AS_JPEG)),
    (b"SQLite format 3\0", ("a database", "Send what matters as a text.")),
)
_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def recognise(content: bytes) -> Kind | None:
    """Return which kind of picture or recording it claims to be; None for what may be a document."""
    for start, kind in _PICTURES_AND_RECORDINGS:
        if content.startswith(start):
            return kind
    if content.startswith(b"RIFF"):
        return {b"WEBP": kinds.WEBP, b"WAVE": kinds.WAV}.get(content[8:12])
    if content[4:8] == b"ftyp":
        return _iso_media(content)
    return kinds.MP3 if _MPEG_AUDIO.match(content) else None


def _iso_media(content: bytes) -> Kind:
    listed = content[_BOX_HEAD : min(int.from_bytes(content[:4], "big"), _MOST_BRANDS)]
    # Between the main brand and the compatible ones is a version.
    brands = {listed[at : at + 4] for at in range(0, len(listed), 4) if at != len(b"heic")}
    if brands & _AVIF_BRANDS:
        return kinds.AVIF
    return kinds.HEIC if brands & _HEIC_BRANDS else kinds.MP4


def refused(content: bytes) -> UnacceptableError | None:
    """Name what is known and none of the kinds that may be sent. A text may begin in the same way."""
    for start, (found, advice) in _FOREIGN:
        if content.startswith(start):
            return UnacceptableError(advice, found)
    if content.startswith(b"RIFF") and content[8:12] == b"AVI ":
        return UnacceptableError(_VIDEO[1], _VIDEO[0])
    if content.startswith(_OLE):
        # The names of streams are in UTF-16. Encrypted documents of today are wrapped in this old format too.
        if "EncryptedPackage".encode("utf-16-le") in content:
            return UnacceptableError("Save it without a password.", "an encrypted office document")
        advice = "Save it as DOCX, XLSX or PPTX, or as PDF."
        return UnacceptableError(advice, "an office document in an old format")
    if content[:1] == b"G" == content[188:189] == content[376:377]:
        # Packets of an MPEG transport stream.
        return UnacceptableError(_VIDEO[1], _VIDEO[0])
    return None
