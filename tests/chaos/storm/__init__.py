"""A storm: thousands of timers fall due while replicas and Redis are killed, paused and emptied.

`plan` lays it out from a seed, `booking` writes the sessions, `faults` does the harm, `record` reads what
PostgreSQL and the subscribers have in the end, and `verdict` says whether everything happened exactly once.
"""
