"""What the service is about, without stores: messages, people, counsellings, bookings, working hours."""
