"""Heads of conditional discriminators against their equations in NumPy, and in the published networks."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gvlab import config as c
from gvlab.networks import ClassifierHead, EmbeddingHead, ExtraClassHead, ProjectionHead
from gvlab.types import Judged, UserError


def arr(shape, scale, k):
    return (scale * np.sin(0.37 * np.arange(math.prod(shape)) + 0.1 + 0.7 * k)).reshape(shape)


MAPS, Y = arr((4, 3, 3, 6), 1, 1), np.eye(3)[[0, 2, 1, 2]]
H = np.maximum(MAPS, 0).sum((1, 2))
LOGIT = {"kernel": arr((6, 1), 0.4, 3), "bias": np.array([0.1])}


def said(head, params):
    """What the head gives; JAX traces nothing but one program."""
    with jax.enable_x64(True):
        return jax.device_get(jax.jit(lambda x, y: head.apply({"params": params}, x, y))(MAPS, Y))


def agree(found, **expected):
    for name, value in found._asdict().items():
        if name in expected:
            np.testing.assert_allclose(value, expected[name], rtol=1e-9)
        else:
            assert value is None


def test_an_auxiliary_classifier_has_no_biases():
    kernel = arr((6, 3), 0.5, 2)
    found = said(ClassifierHead(), {"logit": LOGIT, "classes": {"kernel": kernel}})
    agree(found, logits=(H @ LOGIT["kernel"])[:, 0] + 0.1, classes=H @ kernel)


def test_embeddings_have_biases_and_proxies_none():
    dense, table = {"kernel": arr((6, 5), 0.5, 2), "bias": arr((5,), 0.3, 4)}, arr((3, 5), 0.5, 5)
    found = said(EmbeddingHead(features=5), {"logit": LOGIT, "embedding": dense, "proxies": {"kernel": table}})
    logits = (H @ LOGIT["kernel"])[:, 0] + 0.1
    agree(found, logits=logits, embedding=H @ dense["kernel"] + dense["bias"], proxy=table[[0, 2, 1, 2]])


def test_a_class_more_says_real_where_a_class_leads():
    dense = {"kernel": arr((6, 4), 0.5, 2), "bias": arr((4,), 0.3, 4)}
    scores = H @ dense["kernel"] + dense["bias"]
    found = said(ExtraClassHead(), {"scores": dense})
    agree(found, logits=scores[:, :3].max(1) - scores[:, 3], scores=scores)


# In the networks -----------------------------------------------------------------------------------------------------


def shapes_of(network, classes):
    _, discriminator = network.networks((32, 32, 3), classes, None)
    y = jnp.zeros((2, classes)) if classes else None
    return jax.eval_shape(
        partial(discriminator.init_with_output, train=True), jax.random.key(0), jnp.zeros((2, 32, 32, 3)), y
    )


def count(variables):
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(variables["params"]))


@pytest.mark.parametrize("make", [c.SNGAN, c.BigGANDeep])
def test_a_residual_discriminator_takes_every_head(make):
    """Each has what the projection has, less its table, and its own layers, all of them spectrally normalised."""
    logits, variables = shapes_of(make(4), 7)
    h = variables["params"]["head"]["logit"]["kernel"].shape[0]
    assert logits.shape == (2,)
    without = count(variables) - 7 * h
    for head, shapes, own in (
        (c.Classifier(), {"classes": (2, 7)}, 7 * h),
        (c.Embedding(5), {"embedding": (2, 5), "proxy": (2, 5)}, 5 * (h + 1) + 7 * 5),
        (c.ExtraClass(), {"scores": (2, 8)}, 7 * (h + 1)),  # beside the logit's
    ):
        judged, variables = shapes_of(make(4, head=head), 7)
        assert isinstance(judged, Judged)
        assert {name: value.shape for name, value in judged._asdict().items() if value is not None} == {
            "logits": (2,)
        } | shapes
        assert count(variables) == without + own
        layers = variables["params"]["head"]
        vectors = {name: set(of_layer) for name, of_layer in variables["spectral"]["head"].items()}
        assert vectors == {name: {"u", "v"} for name in layers}


@pytest.mark.parametrize("make", [c.SNGAN, partial(c.SNGAN, layout="studiogan"), c.SAGAN, c.BigGAN, c.BigGANDeep])
def test_the_head_of_a_configuration_is_that_of_the_discriminator(make):
    def of_network(head):
        return make(4, head=head).networks((32, 32, 3), 7, None)[1].head

    heads = [of_network(head) for head in (c.Projection(), c.Classifier(), c.ExtraClass())]
    assert heads == [ProjectionHead, ClassifierHead, ExtraClassHead]
    assert (of_network(c.Embedding(5)).func, of_network(c.Embedding(5)).keywords) == (EmbeddingHead, {"features": 5})


@pytest.mark.parametrize(
    "head", [c.Classifier(), c.Embedding(), c.ExtraClass()], ids=["classifier", "embedding", "more"]
)
def test_without_classes_such_heads_are_refused(head):
    with pytest.raises(UserError, match=r"^The head \w+Head is about classes, but the model has none: make it cond"):
        shapes_of(c.SNGAN(4, head=head), 0)
