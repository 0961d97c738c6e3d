"""What serves: the application, one process or several, health and metrics."""
