"""Doubtful images by their features: labels that are probably wrong."""
