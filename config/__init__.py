"""Settings and texts. A leaf: it imports nothing of the project."""

from config.contacts import CrisisContact
from config.loading import SettingsError, faults_in, load, variables_of
from config.organizations import Organizations
from config.settings import Settings
from config.texts import LANGUAGES, automated_text

__all__ = [
    "LANGUAGES",
    "CrisisContact",
    "Organizations",
    "Settings",
    "SettingsError",
    "automated_text",
    "faults_in",
    "load",
    "variables_of",
]
