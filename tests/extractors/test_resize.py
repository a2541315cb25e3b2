import inspect
import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import PIL.Image
import pytest

from gvlab.extractors.resize import resize_bicubic, resize_bilinear, resize_tensorflow1
from gvlab.types import UserError

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "inception.json").read_text())["resize_channel0_of_image0"]
IMAGES = {
    "A_32x32": np.random.RandomState(0).randint(0, 256, (4, 32, 32, 3)),
    "C_360x300": np.random.RandomState(2).randint(0, 256, (1, 360, 300, 3)),
}
RESIZES = [resize_tensorflow1, resize_bilinear, resize_bicubic]


@pytest.mark.parametrize("name", IMAGES)
@pytest.mark.parametrize(
    ("resize", "key"),
    [
        (resize_tensorflow1, "tf1_bilinear"),
        (resize_bilinear, "torch_bilinear_half_pixel"),
        (lambda x, size: jnp.clip(resize_bicubic(x, size), 0, 255), "clean_pil_bicubic_float"),
    ],
)
def test_agrees_with_the_published_resizes(name, resize, key):
    found = np.asarray(resize(jnp.asarray(IMAGES[name].astype(np.uint8)), (299, 299)), np.float64)[0, :, :, 0]
    expected, at = GOLDEN[name][key], GOLDEN["idx"]
    # Float32 keeps 0..255 to 1.5e-5; the weights and two passes cost a few such steps.
    np.testing.assert_allclose(found[at, at], expected["diag_at_idx"], rtol=0, atol=1e-4)
    np.testing.assert_allclose(found[0, at], expected["row0_at_idx"], rtol=0, atol=1e-4)
    np.testing.assert_allclose(found.mean(), expected["mean"], rtol=1e-6)
    np.testing.assert_allclose(found.std(), expected["std"], rtol=1e-6)


@pytest.mark.parametrize(("old", "new"), [((31, 40), (13, 64)), ((8, 8), (32, 32)), ((50, 7), (50, 3))])
def test_bicubic_is_pillows(old, new):
    x = np.random.RandomState(4).uniform(-3, 5, old).astype(np.float32)
    expected = PIL.Image.fromarray(x).resize(new[::-1], PIL.Image.Resampling.BICUBIC)
    found = resize_bicubic(jnp.asarray(x)[None, :, :, None], new)[0, :, :, 0]
    np.testing.assert_allclose(found, np.asarray(expected), rtol=0, atol=5e-6)


@pytest.mark.parametrize("resize", RESIZES)
def test_keeps_constants_and_its_own_size(resize):
    np.testing.assert_allclose(resize(jnp.full((1, 9, 5, 2), 7.0), (4, 11)), 7.0, rtol=1e-6)
    x = jnp.asarray(np.random.RandomState(5).randint(0, 256, (2, 6, 7, 3)).astype(np.uint8))
    same = resize(x, (6, 7))
    assert same.dtype == jnp.float32
    np.testing.assert_array_equal(same, x)


def test_bilinear_in_closed_form():
    ramp = jnp.arange(4.0)[None, None, :, None]
    np.testing.assert_allclose(resize_bilinear(ramp, (1, 8))[0, 0, :, 0], [0, 0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3])
    np.testing.assert_allclose(resize_tensorflow1(ramp, (1, 8))[0, 0, :, 0], [0, 0.5, 1, 1.5, 2, 2.5, 3, 3])


@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize(("old", "new"), [((4, 4), (0, 4)), ((4, 0), (4, 4))])
def test_refuses_an_empty_image(resize, old, new):
    with pytest.raises(UserError, match="at least 1 pixel"):
        inspect.unwrap(resize)(jnp.zeros((1, *old, 3)), new)
