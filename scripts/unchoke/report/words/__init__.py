"""Pictures of the words that a head finds."""
