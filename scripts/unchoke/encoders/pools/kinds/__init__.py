"""The poolings, one module each; ``encoders.pools.pool`` says what a module must have."""
