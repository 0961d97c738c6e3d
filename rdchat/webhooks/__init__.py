"""Webhooks: notifications delivered to other programs, in the form of https://www.standardwebhooks.com."""
