"""The settings read from the environment, once, and checked as a whole."""

from __future__ import annotations

import os
import shlex
import subprocess
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from config.checks import contradictions, unknown_names
from config.development import development_secrets
from config.secrecy import open_to_all
from config.settings import ROWS, Settings
from config.values import InvalidValueError, encryption_keys

if TYPE_CHECKING:
    from collections.abc import Mapping

    from config.declaring import SettingRow


#: A key store that takes longer is away.
_COMMAND_SECONDS: Final = 30


class SettingsError(ValueError):
    """The settings cannot be used. `faults` lists everything that is wrong with them, a sentence each."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


@dataclass(frozen=True, slots=True)
class _Reading:
    """What was found, by the names of Settings' fields. What is faulty is `given`, but has no value."""

    values: dict[str, Any] = field(default_factory=dict)
    given: set[str] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)


def load(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from an environment (`RDCHAT_*`, for secrets `RDCHAT_*_FILE`), or this process's own.

    Secrets that are unset are generated, and kept in the data directory. Raise SettingsError with all faults
    at once.
    """
    reading = _read(os.environ if environment is None else environment)
    if reading.faults:
        raise SettingsError(reading.faults)
    return Settings(
        **reading.values | _generated(reading),
        ably_is_local="ably_key" not in reading.given,
        jwt_secret_is_generated=not {"jwt_secret", "jwt_jwks_url"} & reading.given,
    )


def faults_in(environment: Mapping[str, str]) -> list[str]:
    """List everything that is wrong with the settings, without making anything."""
    return _read(environment).faults


def set_variables(row: SettingRow, environment: Mapping[str, str]) -> list[str]:
    """List the variables of a setting that are set, the one that counts first. Empty ones are not set."""
    return [name for name in reversed(row.variables) if environment.get(name, "").strip()]


def variables_of(name: str, environment: Mapping[str, str]) -> list[str]:
    """List the variables that set a field of Settings, the one that counts first."""
    return set_variables(ROWS[name], environment)


def _read(environment: Mapping[str, str]) -> _Reading:
    reading = _Reading()
    known = [name for row in ROWS.values() for name in row.variables]
    reading.faults.extend(
        unknown_names((name for name, value in environment.items() if value.strip()), known)
    )
    for name, row in sorted(ROWS.items(), key=lambda item: item[1].name):
        variables = set_variables(row, environment)
        if variables:
            reading.given.add(name)
            _read_one(reading, name, variables[0], environment[variables[0]])
        elif not row.is_generated:
            reading.values[name] = row.value_unset
    reading.faults.extend(
        contradictions(reading.values, reading.given, default_host=environment.get("PGHOST", ""))
    )
    if reading.values.get("database_url") is not None:
        reading.faults.extend(_open_files(environment))
    return reading


def _open_files(environment: Mapping[str, str]) -> list[str]:
    """Return which files with secrets every account of the machine can reach."""
    faults = []
    for row in ROWS.values():
        for variable in set_variables(row, environment)[:1]:
            if variable == row.file_variable:
                path = Path(environment[variable])
                # One that is not there is a fault already.
                with suppress(OSError):
                    if how := open_to_all(path):
                        faults.append(f"{variable}: {path} {how}.")
    return faults


def _read_one(reading: _Reading, name: str, variable: str, value: str) -> None:
    row = ROWS[name]
    if variable == row.file_variable:
        try:
            content = Path(value).read_text(encoding="utf-8").strip()
        except (OSError, ValueError):  # also raised for a file that is not text
            reading.faults.append(f"{variable}: {value} cannot be read.")
            return
        if not content:
            # Counting it as unset could put a generated secret in its place.
            reading.faults.append(f"{variable}: {value} is empty.")
            return
        value = content
    if variable == row.command_variable:
        printed = _printed(reading, variable, value)
        if printed is None:
            return
        value = printed
    try:
        reading.values[name] = row.parse(value)
    except InvalidValueError as error:
        reading.faults.extend(f"{row.variable}: {fault}" for fault in error.faults)


def _printed(reading: _Reading, variable: str, command: str) -> str | None:
    """Return what a command prints, as of a key store; None, and a fault, where it prints nothing."""
    try:
        done = subprocess.run(  # noqa: S603 - the operator's own command, without a shell
            shlex.split(command), stdout=subprocess.PIPE, timeout=_COMMAND_SECONDS, check=True, text=True
        )
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        # Its output stays out of sight, and so does the error's text, which may quote it.
        reading.faults.append(f"{variable}: the command failed ({type(error).__name__}).")
        return None
    if not done.stdout.strip():
        reading.faults.append(f"{variable}: the command prints nothing.")
        return None
    return done.stdout.strip()


def _generated(reading: _Reading) -> dict[str, Any]:
    missing = {name for name, row in ROWS.items() if row.is_generated} - reading.given
    if "jwt_jwks_url" in reading.given:
        missing.discard("jwt_secret")
    made: dict[str, Any] = {"jwt_secret": None} if "jwt_secret" not in reading.given else {}
    if missing:
        secrets = development_secrets(reading.values["data_dir"])
        made |= {name: secrets[name] for name in missing}
    if "encryption_keys" in missing:
        made["encryption_keys"] = encryption_keys(made["encryption_keys"])
    return made
