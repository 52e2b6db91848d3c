"""What data there is at a path: the section ``dataset`` of a config that reads it."""
