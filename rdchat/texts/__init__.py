"""What the service says by itself: automated messages and notifications, in both languages."""
