"""Heads that classify images: training on cached features, ablations, checkpoints."""
