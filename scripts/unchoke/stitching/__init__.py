"""From predicted patches to the masks of whole images, a band of rows at a time, and their scores."""
