"""Networks that are trained on cached activations: where they are cut, both parts, and what training asks of layers."""
