"""From predicted probabilities to words: regions, outlines and scores, and the thresholds chosen on val."""
