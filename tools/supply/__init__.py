"""What is pinned and what is kept secret: a bill of materials, advisories, and keys that were left lying."""
