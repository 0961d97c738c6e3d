"""Settings and texts. A leaf: it imports nothing of the project."""

from config.settings import Settings, SettingsError, load
from config.texts import LANGUAGES, automated_text
from config.texts_file import Texts

__all__ = ["LANGUAGES", "Settings", "SettingsError", "Texts", "automated_text", "load"]
