"""The built-in automated texts, by language. They are sent exactly as they stand here.

An operator can change them by a file: see `organizations`.
"""

from typing import Final

_TEXTS: Final = {
    "id": {
        "initial_message": (
            "Halo! Saya akan segera memulai sesi konseling kita. Mohon tunggu sebentar, ya! 😊"
        ),
        "enable_chat": (
            "Sesi konseling dimulai! Silakan ceritakan apa yang ingin Anda bagikan hari ini. "
            "Saya siap mendengarkan 🤗"
        ),
        "auto_end": (
            "Sesi konseling telah berakhir. Terima kasih telah berbagi dengan saya hari ini. "
            "Jaga diri dengan baik ya! 💙"
        ),
    },
    "en": {
        "initial_message": "Hello! I will start our counselling session shortly. Please wait a moment! 😊",
        "enable_chat": (
            "Our counselling session has started! Please tell me whatever you would like to share today. "
            "I am here to listen 🤗"
        ),
        "auto_end": (
            "Our counselling session has ended. Thank you for sharing with me today. "
            "Please take good care of yourself! 💙"
        ),
    },
}

LANGUAGES: Final = tuple(_TEXTS)
#: The automations that say something.
KINDS: Final = tuple(_TEXTS["id"])


def automated_text(kind: str, language: str) -> str:
    """Return the built-in text of the automation `kind` in `language` (KeyError when it says nothing)."""
    return _TEXTS[language][kind]
