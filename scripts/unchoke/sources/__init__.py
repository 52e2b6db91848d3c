"""Where images lie: one module for each kind in ``kinds``, and shared modules."""
