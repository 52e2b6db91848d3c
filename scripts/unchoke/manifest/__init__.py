"""Which images and patches there are, how they are split, and which of them cannot be used."""
