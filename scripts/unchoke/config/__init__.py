"""The closed model of the config: every key with its type, unit, default and description."""
