"""Restoring what a linear operator took from an image, by a trained model."""
