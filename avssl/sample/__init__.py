"""Order and time arithmetic: plans from the catalogue alone, never pixels."""
