"""Who calls (tokens, key set), what clients may do at Ably, and encryption at rest."""
