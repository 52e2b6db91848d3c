"""The process and the card: the client and its warm worker, commands, leases, memory, limits, locks of runs."""
