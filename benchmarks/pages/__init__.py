"""The pages in a real browser on a slowed processor: the first screen, typing, and scrolling a long chat."""
