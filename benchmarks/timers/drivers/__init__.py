"""One driver a library; each runs in an environment of its own."""
