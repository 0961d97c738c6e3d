"""What the service says of its own accord: automated messages and notifications, in both languages."""
