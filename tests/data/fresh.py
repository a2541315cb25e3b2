"""What a fresh interpreter imports."""

import subprocess
import sys


def imported_after(statement: str) -> set[str]:
    """Which of the heavy modules a fresh interpreter holds after `statement`."""
    heavy = ("tensorflow", "tensorflow_datasets", "sklearn", "matplotlib", "flax", "optax")
    code = f"import sys\n{statement}\nprint(*[name for name in {heavy} if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return set(ran.stdout.split())
