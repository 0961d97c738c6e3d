"""Settings and texts. A leaf: it imports nothing of the project."""

from config.loading import SettingsError, faults_in, load
from config.settings import Settings
from config.texts import LANGUAGES, automated_text
from config.texts_file import Texts

__all__ = ["LANGUAGES", "Settings", "SettingsError", "Texts", "automated_text", "faults_in", "load"]
