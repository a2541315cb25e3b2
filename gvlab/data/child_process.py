"""TFDS works in a process of its own: TensorFlow's memory, its log and its hold on a GPU end with it."""

from __future__ import annotations

import os
import subprocess
import sys

from gvlab.types import UserError


def run(module: str, function: str, what: str, *arguments: str) -> str:
    """What a function of a module prints in a process of its own, which ends with this one.

    The function ends its process: with 0, or with 2 after printing a sentence for the user.

    Args:
        module: of the function, which takes nothing and finds the arguments in `sys.argv`.
        function: its name.
        what: is prepared, for sentences.
        arguments: for it.

    Raises:
        UserError: the sentence, or that the process was killed.
    """
    module_path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)
    environment = {"PYTHONPATH": module_path, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    environment["TF_USE_LEGACY_KERAS"] = "1"  # or TensorFlow would import Keras, for a third of its time
    # Names of directories need not be text.
    environment |= {"PYTHONIOENCODING": "utf-8:surrogateescape"}
    lifeline, ours = os.pipe()  # which closes however this process ends, and then the child ends, too
    try:
        child = subprocess.run(
            [sys.executable, "-P", "-c", f"from {module} import {function}; {function}()", *arguments],
            env={**os.environ, **environment},
            stdin=lifeline,
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            check=False,
        )
    finally:
        os.close(lifeline)
        os.close(ours)
    if child.returncode == 2:
        raise UserError(child.stdout.strip())
    if child.returncode < 0:
        raise UserError(
            f"Preparing {what} was ended by signal {-child.returncode}, most often for want of memory: free some and "
            "try again."
        )
    if child.returncode != 0:
        raise RuntimeError(f"preparing {what} ended with code {child.returncode}:\n{child.stderr[-4000:]}")
    return child.stdout
