"""The kinds of mask head, one module each; ``mask_heads.head`` says what a module must have."""
