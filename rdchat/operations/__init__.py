"""What operators do: look at queues, retry, examine, draw."""
