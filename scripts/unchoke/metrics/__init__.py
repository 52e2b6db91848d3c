"""Figures from labels and predictions: of classes, of masks, their intervals and comparisons."""
