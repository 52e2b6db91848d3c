"""The kinds of head, one module each; ``heads.train`` says what a module must have."""
