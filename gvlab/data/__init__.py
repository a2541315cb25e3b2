"""Data: arrays in, batches out."""

from gvlab.data.alphabets import Alphabet
from gvlab.data.array_files import add_arrays
from gvlab.data.batches import batch, permute
from gvlab.data.builders import add_builder
from gvlab.data.catalogue import CATALOGUE, Card
from gvlab.data.checks import check_batch
from gvlab.data.dataset import Absent, Dataset, Split, fingerprint, from_arrays, part
from gvlab.data.folders import add_folder
from gvlab.data.ground_truth import GroundTruth, Rendered
from gvlab.data.modalities import IMAGES, TOKENS, VECTORS, WAVES, Modality, modality_of_shape
from gvlab.data.own import Own, listed, remove
from gvlab.data.rooms import gvrooms
from gvlab.data.sources import is_prepared, load, prepare
from gvlab.data.sprites import gvsprites
from gvlab.data.synthetic import MIXTURES, Mixture, grid, ring
from gvlab.data.text_files import add_text
from gvlab.data.transforms import binarize, dequantize, flip, to_symmetric, to_unit, to_wave
from gvlab.data.wave_folders import add_waves
from gvlab.data.worlds import GROUND_TRUTHS

__all__ = [
    "CATALOGUE",
    "GROUND_TRUTHS",
    "IMAGES",
    "MIXTURES",
    "TOKENS",
    "VECTORS",
    "WAVES",
    "Absent",
    "Alphabet",
    "Card",
    "Dataset",
    "GroundTruth",
    "Mixture",
    "Modality",
    "Own",
    "Rendered",
    "Split",
    "add_arrays",
    "add_builder",
    "add_folder",
    "add_text",
    "add_waves",
    "batch",
    "binarize",
    "check_batch",
    "dequantize",
    "fingerprint",
    "flip",
    "from_arrays",
    "grid",
    "gvrooms",
    "gvsprites",
    "is_prepared",
    "listed",
    "load",
    "modality_of_shape",
    "part",
    "permute",
    "prepare",
    "remove",
    "ring",
    "to_symmetric",
    "to_unit",
    "to_wave",
]


def __dir__() -> list[str]:
    """What a notebook completes: the public names, and none of the modules that they come from."""
    return __all__
