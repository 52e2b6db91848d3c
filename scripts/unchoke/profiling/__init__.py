"""How long each step of extraction takes, and what the whole would gain without it."""
