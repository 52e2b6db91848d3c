"""Input pipelines side by side: the same images through the same encoder, by our ways and by those of others."""
