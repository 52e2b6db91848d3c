"""Networks that are trained, whole or from a cut: the frozen part, the trained part, and what training asks of layers."""
