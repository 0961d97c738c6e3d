"""The form of what leaves the service, pure: payloads, outbox entries, bodies of webhooks."""
