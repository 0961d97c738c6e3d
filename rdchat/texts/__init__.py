"""The texts that the service sends on its own: automated messages and notifications."""
