"""Classes reached, and the divergence of their shares."""

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from gvlab.metrics import class_balance
from gvlab.types import UserError


def test_the_divergence_is_that_of_scipy():
    generated, real = np.array([0, 0, 1, 3]), np.array([0, 1, 1, 2, 2])
    found = class_balance(generated, real, 4)
    assert found.reached == 3
    expected = jensenshannon([2, 1, 0, 1], [1, 2, 2, 0], base=2) ** 2
    assert found.js_bits == pytest.approx(expected)


def test_equal_shares_are_0_and_disjoint_classes_1_bit():
    assert class_balance(np.arange(6) % 3, np.arange(3), 3) == (3, 0)
    assert class_balance(np.zeros(5, int), np.ones(2, int), 2) == (1, 1)


@pytest.mark.parametrize("wrong", [[], [4], [-1]])
def test_what_is_no_class_is_refused(wrong):
    with pytest.raises(UserError, match=r"real has . examples, but must have some, of classes 0 to 3"):
        class_balance(np.zeros(2, int), np.array(wrong, int), 4)
