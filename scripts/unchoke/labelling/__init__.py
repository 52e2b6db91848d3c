"""Images without a label: what heads say of them, and which are worth labelling."""
