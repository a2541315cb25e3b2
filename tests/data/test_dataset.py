import numpy as np
import pytest

from gvlab.data import Split, fingerprint, from_arrays
from gvlab.types import UserError

IMAGES = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3, 1)
VECTORS = np.arange(6, dtype=np.float32).reshape(2, 3)


def test_own_images_with_labels():
    dataset = from_arrays("mine", IMAGES, IMAGES[:1], [0, 4], np.array([2], np.uint8))
    assert (dataset.name, dataset.shape, dataset.num_classes) == ("mine", (3, 3, 1), 5)
    assert dataset.train.y.dtype == np.int32
    assert dataset.test.y.tolist() == [2]
    np.testing.assert_array_equal(dataset.train.x, IMAGES)


def test_own_vectors_without_labels():
    dataset = from_arrays("mine", VECTORS, VECTORS)
    assert (dataset.shape, dataset.num_classes, dataset.train.y) == ((3,), 0, None)


def test_the_checksum_sees_every_change_and_nothing_else():
    base = Split(IMAGES, np.array([0, 1], np.int32))
    changed = IMAGES.copy()
    changed[1, 2, 2, 0] ^= 1
    same = fingerprint(Split(IMAGES.copy(order="F"), base.y.copy()), base)
    assert fingerprint(base, base) == same
    assert len(same) == 64
    others = [
        fingerprint(Split(changed, base.y), base),
        fingerprint(base, Split(changed, base.y)),
        fingerprint(Split(IMAGES, base.y[::-1]), base),
        fingerprint(Split(IMAGES), base),
        fingerprint(Split(IMAGES.reshape(2, 9, 1, 1), base.y), base),
    ]
    assert len({same, *others}) == 6


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((IMAGES[0], IMAGES), r"train_x has shape \(3, 3, 1\)"),
        ((IMAGES, IMAGES / 255), "test_x has type float64; images are uint8"),
        ((VECTORS.astype(np.float64), VECTORS), "train_x has type float64; vectors are float32"),
        ((VECTORS, np.array([[0, 1, np.nan]], np.float32)), "test_x contains a value that is not finite in example 0"),
        ((VECTORS[:0], VECTORS), r"train_x has shape \(0, 3\), which is empty"),
        ((IMAGES, IMAGES[:, :2]), r"\(3, 3, 1\) in train_x but \(2, 3, 1\) in test_x"),
        ((IMAGES, IMAGES, [0, 1]), "test_y is missing"),
        ((IMAGES, IMAGES, None, [0, 1]), "train_y is missing"),
        ((IMAGES, IMAGES, [0, 1, 2], [0, 1]), r"train_y has shape \(3,\) for 2 examples"),
        ((IMAGES, IMAGES, [0, 1], [0, -1]), "test_y contains -1"),
        ((IMAGES, IMAGES, [0.0, 1.0], [0, 1]), "train_y has type float64; labels are integers"),
    ],
)
def test_refuses_what_cannot_be_trained_on(arguments, words):
    with pytest.raises(UserError, match="^mine: .*" + words):
        from_arrays("mine", *arguments)
