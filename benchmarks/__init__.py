"""Measurements beside other programs, with their reports; never part of the tests."""
