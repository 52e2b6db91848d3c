"""Networks that are trained: the last blocks of an encoder on cached activations, or whole ones on cached pixels."""
