"""Pure: one number a stage, raised when the bytes that the stage writes change.

Snakemake does not see edits to the code behind a ``shell:`` line, so every rule carries its number as a
param; a golden test per stage fails when the output moves and the number does not.
"""

DIGITS = 1
MANIFEST = 2
CLASSES = 1
WEIGHTS = 1
PLAN = 1
WAY = 1
EXTRACT = 3
PIXELS = 1
CACHES = 1
SEAL = 2
FINGERPRINTS = 2
CLEANING = 3
DECISIONS = 1
SELECTION = 2
INSPECTION = 3
PREDICTIONS = 1
LISTING = 1
RATES = 1
PIPELINES = 5
QUARANTINE = 2
HEADS = 10
NETWORKS = 1
DATABASE = 16
REPORT = 14
PAGE = 6
REVIEW = 1
PATCHES = 2
MASKS = 1
TEXT_MAPS = 1
MASK_HEADS = 3
CANVASES = 1
WORDS = 1
STITCH = 3
SCORES = 1
TEXT_SCORES = 1
TEACHER = 1
NETWORKS = 1
