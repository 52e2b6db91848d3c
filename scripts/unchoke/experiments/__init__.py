"""experiments.db: every trained head with its figures, the comparisons, and the leaderboard."""
