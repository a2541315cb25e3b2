"""Measures of sets of features: statistics of arrays, in float64 on the host.

A measure is named after its features. On features that aren't Inception's, the Fréchet distance and the kernel distance
are never called FID or KID.
"""

from gvlab.metrics.frechet import Moments, frechet_distance, moments
from gvlab.metrics.kernel import polynomial_mmd2, polynomial_mmd2_subsets

__all__ = ["Moments", "frechet_distance", "moments", "polynomial_mmd2", "polynomial_mmd2_subsets"]
