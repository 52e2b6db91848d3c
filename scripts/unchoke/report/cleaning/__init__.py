"""Pictures and tables of the findings of cleaning."""
