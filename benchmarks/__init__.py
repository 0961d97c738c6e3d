"""Measurements beside other programs, with their reports; tests share only the crowd of sessions."""
