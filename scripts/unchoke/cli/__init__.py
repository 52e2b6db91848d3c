"""The command ``unchoke``: one module a subcommand, each with ``add_to(subcommands)`` and ``main(args)``."""
