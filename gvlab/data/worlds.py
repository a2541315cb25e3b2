"""The data sets whose images are drawn from known factors, by name."""

from gvlab.data.rooms import gvrooms
from gvlab.data.sprites import gvsprites

GROUND_TRUTHS = {"gvsprites": gvsprites, "gvrooms": gvrooms}
"""By the name of the data set, what its images are made from."""
