"""Settings and texts. A leaf: it imports nothing of the project."""

from config.settings import Settings, SettingsError, load
from config.texts import automated_text

__all__ = ["Settings", "SettingsError", "automated_text", "load"]
