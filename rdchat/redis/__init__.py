"""Redis: what has to be fast and can be lost. Everything in here is rebuilt from PostgreSQL."""
