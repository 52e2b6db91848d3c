"""Doubtful images by their features: labels that are probably wrong, and images that are nearly the same."""
