"""What is said to the user instead of a traceback. Nothing is imported here, so that it can be said of JAX, too."""

from __future__ import annotations


class UserError(Exception):
    """A mistake that the user can mend: one sentence that names the offending value and what to do.

    The command line prints the sentence and exits with code 2; from Python it is raised before anything is written.
    """


class Diverged(Exception):
    """Training met a value that is not finite; the sentence names the step and the metric."""
