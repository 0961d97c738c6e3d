"""What stands in for real servers: an Ably endpoint, private stores, the demo. Not the service."""
