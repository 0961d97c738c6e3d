"""`run.py sandbox`: a service with short sessions, to try by hand: people, a session, and lines to paste."""

from rdchat.local.sandbox.playground import play

__all__ = ["play"]
