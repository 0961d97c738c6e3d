"""A million pending sessions: what a replica costs to start, to idle and to recover."""
