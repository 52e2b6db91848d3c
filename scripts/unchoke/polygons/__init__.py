"""Outlines of words in pictures: the formats in which people have them, their mending, and the maps made from them."""
