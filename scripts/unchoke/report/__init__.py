"""Stage: the figures and tables of the report. One module a figure, each with a function that draws it.

They take arrays and tables and give a matplotlib Figure, and the same data give the same bytes; only ``results``,
``thumbnails`` and ``mask_pictures`` read files. Names end in their axes: R replicates, N images, C classes, D features,
E epochs, L settings, S seeds.
"""
