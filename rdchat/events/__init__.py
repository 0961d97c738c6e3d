"""What leaves the service: payloads of events, outbox entries, bodies of webhooks. Pure."""
