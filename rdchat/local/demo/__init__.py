"""`run.py demo`: plays one whole session with genuine clients, and checks what each of them saw."""

from rdchat.local.demo.performance import play

__all__ = ["play"]
