"""Words in images: from their outlines to maps, and from predicted maps back to outlines."""
