"""The experiment of compressed sensing: rows that are there are kept, if they were made alike."""

import json
import runpy
from pathlib import Path

import pytest

EXPERIMENT = Path(__file__).parents[2] / "experiments" / "compressed_sensing" / "measure.py"
ASKED = {"images": 3, "restarts": 2, "steps": 5}


@pytest.mark.fast
def test_rows_of_other_numbers_are_not_mixed(tmp_path):
    begun, file = runpy.run_path(str(EXPERIMENT))["begun"], tmp_path / "errors.json"
    assert begun(file, ASKED) == ASKED | {"rows": {}}
    known = ASKED | {"rows": {"10": {}}}
    file.write_text(json.dumps(known))
    assert begun(file, ASKED) == known
    for name in ASKED:
        with pytest.raises(ValueError, match=rf"errors.json has {name} = {ASKED[name]}, and not 9: ask for as many"):
            begun(file, ASKED | {name: 9})
    file.write_text(json.dumps({"images": 3, "rows": {}}))  # of before they were recorded
    with pytest.raises(ValueError, match="has restarts = unknown, and not 2"):
        begun(file, ASKED)
