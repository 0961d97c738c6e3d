"""Webhooks: notifications told to programs outside, as https://www.standardwebhooks.com lays down."""
