"""Files that people send: what they are, what they are called, where they lie, who gets a link to one."""
