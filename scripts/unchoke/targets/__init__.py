"""Which files a run makes, from config and manifest, as the rules name them; the Snakefile reads it in every job."""
