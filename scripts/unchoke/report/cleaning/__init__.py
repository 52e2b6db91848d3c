"""Pictures and tables of what cleaning found."""
