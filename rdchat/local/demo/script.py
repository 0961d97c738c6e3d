"""What is said in the demo, by whom, and how it is spread over a session of any length."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

CLIENT: Final = "client"
PSYCHOLOGIST: Final = "psychologist"
CLIENT_NAME: Final = "Budi Santoso"
PSYCHOLOGIST_NAME: Final = "Dr. Ratna Dewi"

#: The text that the client's phone sends twice, as one with bad reception does.
SENT_TWICE: Final = "Boleh, Kak. Apa itu?"

#: Before the end warning.
TALK: Final = (
    (CLIENT, "Halo, Kak. Akhir-akhir ini saya susah tidur. Pikiran soal pekerjaan terus berputar."),
    (PSYCHOLOGIST, "Terima kasih sudah mau bercerita, Budi. Pasti melelahkan, ya. Sejak kapan terasa?"),
    (CLIENT, "Kira-kira sebulan, sejak pindah ke tim baru. Saya takut mengecewakan 😔"),
    (PSYCHOLOGIST, "Wajar sekali merasa begitu di tempat baru. Pikiran apa yang paling sering muncul?"),
    (CLIENT, "Bahwa saya tidak cukup baik. Padahal atasan bilang pekerjaan saya bagus."),
    (PSYCHOLOGIST, "Anda keras sekali pada diri sendiri. Mau kita coba satu hal kecil malam ini?"),
    (CLIENT, SENT_TWICE),
    (PSYCHOLOGIST, "Sebelum tidur, tulis tiga hal yang hari ini berjalan baik, sekecil apa pun."),
)
#: After it.
GOODBYE: Final = (
    (PSYCHOLOGIST, "Waktu kita tinggal sedikit. Apa yang ingin Anda bawa pulang dari obrolan ini?"),
    (CLIENT, "Bahwa saya boleh pelan-pelan. Terima kasih banyak, Kak, saya lebih lega sekarang 🙏"),
    (PSYCHOLOGIST, "Senang sekali. Sampai jumpa minggu depan, ya 🌱"),
)

#: The last words stay clear of the end: a slow machine must not make them come too late.
_LAST_WORDS: Final = 0.6


@dataclass(frozen=True, slots=True)
class Line:
    """Something to say: its writer begins to type and sends it at these distances from the start."""

    role: str
    text: str
    types_at: timedelta
    sends_at: timedelta
    after_warning: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """How long things take in a session of `seconds`."""

    seconds: int

    @property
    def length(self) -> timedelta:
        """From the start to the end."""
        return timedelta(seconds=self.seconds)

    @property
    def initial_lead(self) -> timedelta:
        """From the first automated message to the start."""
        return timedelta(seconds=3)

    @property
    def warning_lead(self) -> timedelta:
        """From the end warning to the end."""
        return timedelta(seconds=self.seconds // 3)

    def lines(self) -> list[Line]:
        """Spread the conversation over the session."""
        warning = self.length - self.warning_lead
        return [
            *_spread(TALK, timedelta(0), warning, after_warning=False),
            *_spread(GOODBYE, warning, warning + self.warning_lead * _LAST_WORDS, after_warning=True),
        ]


def _spread(
    said: tuple[tuple[str, str], ...], start: timedelta, end: timedelta, *, after_warning: bool
) -> list[Line]:
    turn = (end - start) / (len(said) + (not after_warning))
    return [
        Line(role, text, start + turn * (number + 0.3), start + turn * (number + 1), after_warning)
        for number, (role, text) in enumerate(said)
    ]
