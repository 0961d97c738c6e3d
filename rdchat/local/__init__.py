"""Stand-ins for real servers, for development: not part of the service."""
