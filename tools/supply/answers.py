"""What those who know of vulnerabilities answer."""

from __future__ import annotations

from typing import NamedTuple


class Advisory(NamedTuple):
    """A known vulnerability of a version that is pinned."""

    package: str
    version: str
    #: All its names: of CVE, of GitHub, of the Python Packaging Authority.
    ids: tuple[str, ...]
    fixed_in: tuple[str, ...] = ()


class NoAnswerError(Exception):
    """There was no answer, or one that cannot be believed; the message says why."""
