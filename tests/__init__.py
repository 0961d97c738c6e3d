"""The tests. They run on real servers, and wait for signals instead of sleeping."""
