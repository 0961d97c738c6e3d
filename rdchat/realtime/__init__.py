"""Delivery through Ably: events, the publisher behind the outbox, the client around the SDK."""
