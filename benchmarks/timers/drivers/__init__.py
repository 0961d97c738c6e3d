"""One driver per library; each runs in an environment of its own."""
