"""A data set of one's own from any image builder of tensorflow-datasets; TFDS is read in a process of its own."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np

from gvlab.data import builder_reading, child_process, fitting, own, rows
from gvlab.data.places import data_dir as place
from gvlab.data.stamps import Stamp
from gvlab.types import UserError

_NAME = r"[A-Za-z_]\w*(/[\w.=,+-]+)*(:[\d*]+\.[\d*]+\.[\d*]+)?"
"""As TFDS has them, which says otherwise in several sentences."""


def add_builder(
    name: str,
    builder: str,
    *,
    size: tuple[int, int] | None = None,
    fit: fitting.Fit = "crop",
    test: float = 0.1,
    data_dir: str | None = None,
) -> own.Own:
    """Makes the data set `name` of a builder's images, once; downloads and prepares them where need be.

    The images and labels are the builder's supervised pair where that begins with an image, else its only image and its
    only class label. Splits are its own: train, and test where there is one; others are left aside.

    Args:
        name: of the data set.
        builder: BUILDER, BUILDER/CONFIG, BUILDER:VERSION or BUILDER/CONFIG:VERSION, as TFDS has it.
        size: height and width; None where all images have one already.
        fit: what happens to images of another shape (`fitting.fit`); borders are black.
        test: the share of the training images of each class that is for testing, where the builder has no test split.
        data_dir: as `load` has it.

    Returns:
        What was made, or was there.

    Raises:
        UserError: there is no such builder, it has no 8-bit images or several, or it cannot be brought here.
    """
    if not re.fullmatch(_NAME, builder):
        raise UserError(
            f"{builder[:80]!r} names no builder of TFDS: take BUILDER, BUILDER/CONFIG or BUILDER:VERSION, such as "
            "mnist."
        )
    settings = {
        "builder": builder,
        "size": None if size is None else list(size),
        "fit": None if size is None else fit,
        "test": test,
    }

    def write(part: Path) -> rows.Rows:
        asked = json.dumps([builder, str(place(data_dir)), str(part), size, fit])
        about = json.loads(child_process.run(builder_reading.__name__, "child", builder, asked))
        keys = [bytes.fromhex(key) for key in (part / "keys.txt").read_text().split()]
        labelled, tested = (part / "labels.npy").exists(), (part / "is_test.npy").exists()
        return rows.Rows(
            np.load(part / "rows.npy", mmap_mode="r"),
            keys,
            {"pixels": about["pixels"]},
            np.load(part / "labels.npy") if labelled else None,
            tuple(about["class_names"]),
            np.load(part / "is_test.npy") if tested else None,
            tuple(about["remarks"]),
        )

    return own.make(name, own.Recipe("builder", f"tfds:{builder}", settings, lambda: Stamp({}), write, test), data_dir)
