"""From bytes to pixels: whole images, windows of large ones, TIFF, views, and the grid of patches."""
