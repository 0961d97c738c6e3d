"""The timers of rdchat beside those of its peers."""
