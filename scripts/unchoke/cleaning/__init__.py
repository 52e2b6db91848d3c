"""Doubtful images: fingerprints and measures, the rules that find them, and the images that remain for heads."""
