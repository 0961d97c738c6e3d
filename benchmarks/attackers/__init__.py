"""Attackers beside people who chat: what those notice of silent, dripping, stalled and piled-up requests."""
