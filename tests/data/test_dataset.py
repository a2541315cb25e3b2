import numpy as np
import pytest

from gvlab.data import Split, fingerprint, from_arrays, part
from gvlab.types import UserError

IMAGES = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3, 1)
VECTORS = np.arange(6, dtype=np.float32).reshape(2, 3)


def test_own_images_with_labels():
    dataset = from_arrays("mine", IMAGES, IMAGES[:1], [1, 0], np.array([1], np.uint8))
    assert (dataset.name, dataset.shape, dataset.num_classes) == ("mine", (3, 3, 1), 2)
    assert dataset.train.y.dtype == dataset.test.y.dtype == np.int32
    assert dataset.train.y.tolist() == [1, 0]
    assert dataset.test.y.tolist() == [1]
    np.testing.assert_array_equal(dataset.train.x, IMAGES)


def test_classes_may_have_names():
    assert from_arrays("mine", IMAGES, IMAGES, [1, 0], [0, 1], class_names=["cat", "dog"]).class_names == ("cat", "dog")
    assert from_arrays("mine", IMAGES, IMAGES, [1, 0], [0, 1]).class_names == ()
    with pytest.raises(UserError, match="class_names has 1 names for 2 classes"):
        from_arrays("mine", IMAGES, IMAGES, [1, 0], [0, 1], class_names=["cat"])


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


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int64, np.uint64])
def test_labels_of_any_integer_type(dtype):
    y = np.array([2, 0, 1], dtype)
    dataset = from_arrays("mine", np.zeros((3, 2, 2, 3), np.uint8), np.zeros((1, 2, 2, 3), np.uint8), y, y[:1])
    assert (dataset.num_classes, dataset.train.y.tolist(), dataset.test.y.tolist()) == (3, [2, 0, 1], [2])


def test_a_data_set_prints_in_a_line():
    x = np.zeros((500, 28, 28, 1), np.uint8)
    dataset = from_arrays("mine", x, x[:100], np.arange(500) % 7, np.arange(100) % 7)
    assert repr(dataset) == f"<mine: 500 + 100 examples of uint8[28, 28, 1], 7 classes, sha256 {dataset.checksum[:8]}>"
    assert repr(dataset.train) == "<uint8[500, 28, 28, 1], with labels>"
    assert repr(from_arrays("mine", VECTORS, VECTORS).test) == "<float32[2, 3], no labels>"


SIX = np.arange(60) % 6
LABELS = {
    "from 1": (SIX + 1, SIX + 1, "the labels begin at 1, and class 0 of 0 to 6 has no examples in train_y"),
    "a gap": (np.where(SIX == 3, 7, SIX), SIX, "class 3 of 0 to 7 has no examples"),
    "a million": (np.where(SIX == 3, 10**6, SIX), SIX, "class 3 of 0 to 1000000 has no examples"),
    "more classes than examples": (np.arange(60) * 2, SIX, "class 1 of 0 to 118 has no examples"),
    "in the test split alone": (SIX, SIX + 1, "class 6 is in test_y, but has no examples in train_y"),
    "2^31": (SIX + 2**31, SIX, "train_y contains 2147483653; .* fit 32 bits"),
    "2^32": (SIX, SIX + 2**32, "test_y contains 4294967301; .* fit 32 bits"),
    "largest int32": (np.where(SIX == 3, 2**31 - 1, SIX), SIX, "class 3 of 0 to 2147483647 has no examples"),
    "largest uint64": (np.full(60, 2**64 - 1, np.uint64), SIX, "train_y contains 18446744073709551615"),
    "smallest int64": (SIX, np.full(60, -(2**63)), "test_y contains -9223372036854775808"),
    "beyond 64 bits": ([2**70] * 60, SIX, "train_y has type object; labels are integers"),
    "truth values": (SIX > 2, SIX, "train_y has type bool"),
    "one-hot": (np.eye(6, dtype=int)[SIX], SIX, r"train_y has shape \(60, 6\) for 60 examples"),
    "a column": (SIX[:, None], SIX, r"train_y has shape \(60, 1\) for 60 examples"),
    "words": (["a"] * 60, SIX, "train_y has type <U1"),
    "missing ones": (np.ma.masked_equal(SIX, 3), SIX, "train_y has masked values"),
    "ragged": ([[0], [1, 2]], SIX, "train_y cannot be made an array"),
}


@pytest.mark.parametrize(("train", "test", "words"), LABELS.values(), ids=LABELS)
def test_labels_are_kept_or_refused(train, test, words):
    x = np.zeros((60, 4, 4, 1), np.uint8)
    with pytest.raises(UserError, match="^mine: .*" + words):
        from_arrays("mine", x, x, train, test)


def test_the_advice_for_labels_with_gaps_is_sound():
    x, labels = np.zeros((4, 2), np.float32), np.array([3, 7, 26, 7])
    with pytest.raises(UserError, match=r"np\.searchsorted\(np\.unique\(train_y\), y\)"):
        from_arrays("mine", x, x[:2], labels, labels[:2])
    train, test = (np.searchsorted(np.unique(labels), y) for y in (labels, labels[:2]))
    dataset = from_arrays("mine", x, x[:2], train, test)
    assert (dataset.num_classes, dataset.train.y.tolist()) == (3, [0, 1, 2, 1])


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_images_have_up_to_four_channels(channels):
    x = np.zeros((2, 5, 6, channels), np.uint8)
    assert from_arrays("mine", x, x).shape == (5, 6, channels)


@pytest.mark.parametrize("shape", [(40, 3, 16, 16), (40, 1, 28, 28), (40, 4, 8, 5)])
def test_channels_first_are_refused(shape):
    x = np.zeros(shape, np.uint8)
    words = rf"^mine: train_x has shape .*, so {shape[-1]} channels, .* is this channels first\? .*transpose"
    with pytest.raises(UserError, match=words):
        from_arrays("mine", x, x)
    assert from_arrays("mine", x.transpose(0, 2, 3, 1), x.transpose(0, 2, 3, 1)).shape == (*shape[2:], shape[1])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((IMAGES[0], IMAGES), r"train_x has shape \(3, 3, 1\)"),
        ((IMAGES, IMAGES[..., 0]), r"test_x has shape \(2, 3, 3\).*x\[\.\.\., None\]"),
        (([[1.0], [1.0, 2.0]], VECTORS), "train_x cannot be made an array"),
        ((np.ma.masked_equal(VECTORS, 1), VECTORS), "train_x has masked values"),
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


def labelled(counts):
    y = np.repeat(np.arange(len(counts)), counts)
    x = np.arange(len(y), dtype=np.uint8)[:, None, None, None]
    order = np.random.default_rng(1).permutation(len(y))
    return from_arrays("mine", x[order], x[:1], y[order], [0])


def test_a_part_has_its_share_of_each_class_and_the_whole_test_split():
    whole = labelled([40, 20, 3])
    tenth, half = part(whole, 0.1), part(whole, 0.5)
    assert np.bincount(tenth.train.y).tolist() == [4, 2, 1]
    assert np.bincount(half.train.y).tolist() == [20, 10, 2]
    assert (tenth.num_classes, tenth.name, tenth.test) == (3, "mine", whole.test)
    label_of = dict(zip(whole.train.x.ravel().tolist(), whole.train.y.tolist(), strict=True))
    assert [label_of[pixel] for pixel in half.train.x.ravel().tolist()] == half.train.y.tolist()
    assert set(tenth.train.x.ravel().tolist()) < set(half.train.x.ravel().tolist()) < set(range(63))
    assert tenth.checksum == part(whole, 0.1).checksum == fingerprint(tenth.train, whole.test)
    assert len({tenth.checksum, half.checksum, whole.checksum}) == 3
    assert part(whole, 1.0).checksum == whole.checksum


def test_a_part_without_labels_and_one_of_nothing():
    whole = from_arrays("mine", np.arange(40, dtype=np.float32).reshape(20, 2), VECTORS[:, :2])
    assert part(whole, 0.25).train.x.shape == (5, 2)
    with pytest.raises(UserError, match=r"The share of the training examples of mine is 0, but must be in \(0, 1\]"):
        part(whole, 0)
