"""Redis: what must be fast and may be lost. Everything in it is rebuilt from PostgreSQL."""
