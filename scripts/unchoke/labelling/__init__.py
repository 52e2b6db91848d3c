"""Images without a label: what heads say of them."""
