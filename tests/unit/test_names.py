"""Names of people: cleaned at one door, shown as they are everywhere."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rdchat.domain.person import LONGEST_NAME, clean_name


@pytest.mark.parametrize(
    ("given_name", "kept"),
    [
        ("Budi Santoso", "Budi Santoso"),
        ("  Budi\t\n Santoso \u3000", "Budi Santoso"),
        ("Budi\u2028Santoso\u2029", "Budi Santoso"),
        ("Bu\x00di\x1b[2J", "Budi[2J"),
        ("Budi\u202eidub", "Budiidub"),
        ("\u2067Budi\u2069\u200f", "Budi"),
        ("Bu\u200bdi\ufeff\u00ad", "Budi"),
        ("Bu\ud83ddi\ue000\U000e0041", "Budi"),
        ("Jose\u0301", "Jos\u00e9"),
        ("d'Arc-O\u2019Neil, M.Psi.", "d'Arc-O\u2019Neil, M.Psi."),
        # Joiners: where they are written, and nowhere else.
        ("\u0915\u094d\u200d\u0937", "\u0915\u094d\u200d\u0937"),
        (
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        ),
        ("\U0001f469\u200d\u2695\ufe0f Sari", "\U0001f469\u200d\u2695\ufe0f Sari"),
        ("Bu\u200ddi\u200c", "Budi"),
        ("\u200d\u0915\u200d \u0937", "\u0915 \u0937"),
        # What shows nothing is nothing.
        ("", ""),
        (" \t\u2003", ""),
        ("\u202e\u200b\x07", ""),
        ("\u3164\u2800\uffa0\u115f", ""),
        ("\u0301\u0301", ""),
        # What is too long is cut.
        ("x" * 101, "x" * 100),
        ("x" * 99 + " y", "x" * 99),
    ],
)
def test_a_name_is_cleaned(given_name: str, kept: str) -> None:
    assert clean_name(given_name) == kept


@given(st.text(st.characters(), max_size=250))
def test_any_text_becomes_a_name_that_can_be_shown_or_none(text: str) -> None:
    name = clean_name(text)
    assert len(name) <= LONGEST_NAME
    assert clean_name(name) == name
    assert name == " ".join(name.split())
    unseen = {one for one in name if unicodedata.category(one) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")}
    assert unseen <= {"\u200c", "\u200d"}
    name.encode()
