"""The run directory: configuration, environment, curves and checkpoints of one run."""
