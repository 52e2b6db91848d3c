"""Heads that give each pixel a class: training, ablations, checkpoints, predictions of patches."""
