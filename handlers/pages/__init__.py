"""The pages at `/app`: what they are made of, how they are served, and who may sign in to them."""
