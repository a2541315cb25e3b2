"""Frozen networks that measure: features, their published or shipped weights, and the catalogue of their names."""
