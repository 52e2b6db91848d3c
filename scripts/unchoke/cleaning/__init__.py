"""Doubtful images: fingerprints and measures of each, the rules that find them, and what heads are left with."""
