"""Poolings: from an encoder's output to one vector an image."""
