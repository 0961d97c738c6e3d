"""Files that people send: examination, names, storage, and links to download them."""
