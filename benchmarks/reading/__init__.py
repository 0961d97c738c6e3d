"""What people read - history, sessions, unread counts, slots -, receipts, bookings: beside a common stack."""
