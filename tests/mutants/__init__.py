"""Mutants: whether the tests of the parts that must not be wrong notice when these are."""
