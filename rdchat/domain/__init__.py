"""The subject matter, pure: messages, people, counsellings, bookings, working hours."""
