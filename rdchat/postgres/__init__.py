"""PostgreSQL: everything that was promised. One module per subject; statements stand beside their use."""
