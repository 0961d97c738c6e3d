"""Delivery through Ably: the publisher behind the outbox, and the client around the SDK."""
