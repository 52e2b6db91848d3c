"""Where images lie: one module a kind in ``kinds``, and what they share."""
