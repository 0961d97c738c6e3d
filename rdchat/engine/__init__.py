"""The pipeline that every cause goes through: mailbox, step, commit, then effects."""
