"""File names: whatever comes, what is kept can be shown and saved."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rdchat.files import kinds
from rdchat.files.names import clean_file_name


@pytest.mark.parametrize(
    ("given_name", "kind", "kept"),
    [
        ("foto.png", kinds.PNG, "foto.png"),
        ("FOTO.JPEG", kinds.JPEG, "FOTO.jpeg"),
        ("foto.png", kinds.JPEG, "foto.jpg"),
        ("laporan.exe", kinds.PDF, "laporan.exe.pdf"),
        ("Catatan 12.5", kinds.TEXT, "Catatan 12.5.txt"),
        ("../../etc/passwd", kinds.TEXT, "passwd.txt"),
        ("C:\\Users\\Budi\\foto.png", kinds.PNG, "foto.png"),
        ("foto\r\nSet-Cookie: a=b.png", kinds.PNG, "foto Set-Cookie: a=b.png"),
        ("foto%0D%0A%22x%22.png", kinds.PNG, 'foto "x".png'),
        ("laporan\u202egnp.exe", kinds.PNG, "laporangnp.exe.png"),
        ("a\u200b\u2066b\u0000\u0007.png", kinds.PNG, "ab.png"),
        ("cafe\u0301.pdf", kinds.PDF, "café.pdf"),
        ("日記 ✍️.txt", kinds.TEXT, "日記 ✍️.txt"),
        ("\udcff\udcfe.png", kinds.PNG, "image.png"),
        ("   ", kinds.PNG, "image.png"),
        ("", kinds.PDF, "file.pdf"),
        (None, kinds.TEXT, "file.txt"),
        (".png", kinds.PNG, "image.png"),
        ("..", kinds.TEXT, "file.txt"),
        (".htaccess", kinds.TEXT, "htaccess.txt"),
        ("a" * 500 + ".png", kinds.PNG, "a" * 116 + ".png"),
    ],
)
def test_names_are_cleaned(given_name: str | None, kind: kinds.Kind, kept: str) -> None:
    assert clean_file_name(given_name, kind) == kept


@given(st.text(), st.sampled_from(list(kinds.KINDS.values())))
def test_any_name_becomes_one_that_can_be_kept(text: str, kind: kinds.Kind) -> None:
    name = clean_file_name(text, kind)
    assert name.endswith(kind.extensions)
    assert name.isprintable()
    assert not set(name) & set("/\\\r\n\0\u202e")
    assert len(name) <= 120
    assert len(name.encode()) <= 255
    assert not name.startswith((".", " "))
    assert clean_file_name(name, kind) == name
