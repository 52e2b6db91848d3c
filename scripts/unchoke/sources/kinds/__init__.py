"""The kinds of source, one module each; ``sources.source`` says what a module must have."""
