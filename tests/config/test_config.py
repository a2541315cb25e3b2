"""The experiment's dataclasses: what they refuse, and how two of them differ."""

import dataclasses

import jax.numpy as jnp
import pytest
from configurations import SMALL

from gvlab import config as c
from gvlab.types import UserError

# What the dataclasses refuse -----------------------------------------------------------------------------------------

NAN, INFINITY = float("nan"), float("inf")


def experiment(**fields):
    return c.Experiment(**({"name": "e", "model": c.VAE(), "steps": 10} | fields))


REFUSED = [
    *((c.Adam, name, bad) for name in ("learning_rate", "eps", "drop_factor") for bad in (0.0, -1e-3, NAN, INFINITY)),
    *((c.Adam, name, bad) for name in ("b1", "b2") for bad in (-0.1, 1.0, 2.0, NAN)),
    *((cls, "learning_rate", bad) for cls in (c.AdamW, c.RMSprop, c.SGD) for bad in (0.0, -1e-3, NAN, INFINITY)),
    *((c.AdamW, "weight_decay", bad) for bad in (-0.1, NAN, INFINITY)),
    *((c.RMSprop, "decay", bad) for bad in (-0.1, 1.0, NAN)),
    *((c.SGD, "momentum", bad) for bad in (-0.1, 1.0, NAN)),
    *((c.Clipped, "norm", bad) for bad in (0.0, -1.0, NAN, INFINITY)),
    *((cls, "steps", bad) for cls in (c.Cosine, c.Linear) for bad in (0, -1)),
    *((cls, "end", bad) for cls in (c.Cosine, c.Linear) for bad in (-0.1, NAN, INFINITY)),
    (c.Adam, "drop_steps", (0,)),
    (c.Adam, "drop_steps", (5, -3)),
    (c.DCGAN, "width", 0),
    (c.DCGAN, "width", -4),
    (c.MLP, "hidden", (0,)),
    (c.MLP, "hidden", (20, -1)),
    (c.TwoMLPs, "generator", (20, 0)),
    (c.TwoMLPs, "discriminator", (-3,)),
    (c.MaxoutMLP, "generator", (0,)),
    (c.MaxoutMLP, "discriminator", (5, -1)),
    (c.MaxoutMLP, "pieces", 0),
    (c.R3GAN, "widths", (8, 0)),
    (c.R3GAN, "group", 10),
    (c.R3GAN, "blocks", 0),
    *((cls, "width", bad) for cls in (c.SNGAN, c.SAGAN, c.BigGAN, c.BigGANDeep) for bad in (0, -3, 10**6)),
    *((c.StyleGAN2, name, 0) for name in ("width", "full_until", "mapping_layers", "group")),
    (c.StyleGAN2, "mixing", 1.1),
    (c.ReluMLP, "hidden", (-2,)),
    (c.TwoLayerMLP, "hidden", (0,)),
    (c.TwoLayerMLP, "top_hidden", (4, -1)),
    (c.TwoLayerMLP, "first", 0),
    *((c.GAN, name, bad) for name in ("latent_dim", "discriminator_steps", "packing") for bad in (0, -1)),
    (c.GAN, "ema_start", -1),
    *((c.GAN, "ema_decay", bad) for bad in (-0.1, 1.0, NAN)),
    *((c.Gaussian, "variance", bad) for bad in (0.0, -1.0, NAN, INFINITY)),
    *((c.Categorical, "levels", bad) for bad in (1, 0, -2)),
    *((c.MixtureOfLogistics, "components", bad) for bad in (0, -1)),
    *((c.VAE, name, bad) for name in ("latent_dim", "num_samples") for bad in (0, -1)),
    *((c.VAE, "beta", bad) for bad in (-0.1, NAN, INFINITY)),
    (c.VAE, "kl_warmup_steps", -1),
    *((c.HierarchicalVAE, name, -1) for name in ("kl_warmup_steps", "num_samples")),
    *((c.HierarchicalVAE, name, bad) for name in ("beta", "ema_decay") for bad in (-0.1, NAN)),
    *((c.VDVAE, name, 0) for name in ("width", "latents", "bias_until")),
    *((c.VDVAE, name, 0.0) for name in ("bottleneck", "deviation")),
    *((c.LadderMLP, name, (8, 0)) for name in ("latents", "hidden")),
    *((c.Residual, name, bad) for name in ("bound", "least") for bad in (0.0, NAN)),
    (c.Skipped, "norm", 0.0),
    (c.Skipped, "patience", 0),
    *((c.Capacity, name, bad) for name in ("gamma", "end") for bad in (-1.0, NAN, INFINITY)),
    (c.Capacity, "steps", 0),
    *((c.TotalCorrelation, "beta", bad) for bad in (-1.0, NAN)),
    *((make, "off_diagonal", -1.0) for make in (c.DisentangledMeans, c.DisentangledLatents)),
    *((c.Information, name, bad) for name, bad in (("alpha", 1.5), ("alpha", NAN), ("weight", -1.0))),
    *((c.FreeNats, "least", bad) for bad in (-0.1, NAN)),
    *((c.CombinedImportanceWeighted, "share", bad) for bad in (-0.1, 1.1, NAN)),
    *((c.Renyi, "alpha", bad) for bad in (NAN, INFINITY, -INFINITY)),
    *((make, "groups", 0) for make in (c.MultiplyImportanceWeighted, c.PartiallyImportanceWeighted)),
    *((c.Cyclical, name, bad) for name in ("steps", "cycles") for bad in (0, -1)),
    *((c.Cyclical, "rise", bad) for bad in (0.0, 1.5, NAN)),
    *((c.Evaluation, "k", bad) for bad in (0, -1)),
    *((c.Evaluation, "samples", bad) for bad in (1, -1)),
    (c.Evaluation, "standing", -1),
    *((c.Data, "share", bad) for bad in (0.0, -0.5, 1.1, NAN)),
    *((c.Exponential, "rate", bad) for bad in (0.0, 1.0, NAN)),
    *((c.Evaluation, "ais_variance", bad) for bad in (0.0, -1.0, NAN, INFINITY)),
    *(
        (experiment, name, bad)
        for name in ("steps", "batch_size", "log_every", "sample_every", "checkpoint_every")
        for bad in (0, -1)
    ),
    *((experiment, "name", bad) for bad in ("", "a/b", ".", "..", ".hidden")),
    *((experiment, "seed", bad) for bad in (-1, 2**31)),
    *((experiment, "keep_every", bad) for bad in (-500, 1, 750)),
]


@pytest.mark.parametrize(("make", "name", "value"), REFUSED)
def test_a_value_out_of_range_is_refused(make, name, value):
    with pytest.raises(UserError) as caught:
        make(**{name: value})
    sentence = str(caught.value)
    owner = "Experiment" if make is experiment else make.__name__
    bad = next(item for item in value if item <= 0) if isinstance(value, tuple) else value
    assert sentence.startswith(f"{owner}.{name} is {bad!r}, but ")
    assert sentence.endswith(".")


BLOCKS = "28x2,28d2,14x2,14d2,7x2,7d7,1x1", "1x1,7m1,7x2,14m7,14x2,28m14"


@pytest.mark.parametrize(
    ("encoder", "decoder", "sentence"),
    [
        ("28x2,28d2,14x2", BLOCKS[1], r"encoder is .*, which ends at 14x14 pixels, .* let it end with 14d14\.$"),
        ("28d2,28x1", BLOCKS[1], r"encoder is .*, whose maps have 14x14 pixels where it says 28: write there"),
        ("28d3,9d9", BLOCKS[1], r"encoder is .*, whose maps have 28x28 pixels where it says 28d3: write there what"),
        (BLOCKS[0], "7x1,14m7,28m14", r"decoder is .*, which begins at 7x7 pixels, .* let it begin with 1x1\.$"),
        (BLOCKS[0], "1x1,14m7,28m14", r"decoder is .*, but 14m7 needs maps of 7x7 pixels made before, of which"),
        (BLOCKS[0], "1x1,7m1,14x1,28m14", r"decoder is .*, but at 14x14 pixels the encoder gives nothing, or no block"),
        (BLOCKS[0], "1x1,4m1,28m4", r"decoder is .*, but at 4x4 pixels the encoder gives nothing, or no block"),
        (BLOCKS[0], "1x1,7m1,14m7", r"decoder is .*, which ends at 14 pixels a side, but the encoder begins at 28: "),
        ("28y2", BLOCKS[1], r"encoder is '28y2', but '28y2' is no block of it: write 8x2, or 8d4, joined by commas\.$"),
        (BLOCKS[0], "1x1,7d1", r"decoder is .*, but '7d1' is no block of it: write 8x2, or 8m4"),
        ("", BLOCKS[1], r"encoder is '', but '' is no block of it"),
        (BLOCKS[0], "1x9999", r"decoder has more than 1000 blocks, which cannot be compiled: use fewer\.$"),
    ],
)
def test_blocks_that_lead_nowhere_are_refused(encoder, decoder, sentence):
    with pytest.raises(UserError, match=rf"^VDVAE\.{sentence}"):
        c.VDVAE(encoder, decoder)


def test_hierarchies_that_contradict_themselves_are_refused():
    for objective in (c.StickingTheLanding(), c.DoublyReparametrised(), c.PartiallyImportanceWeighted()):
        with pytest.raises(UserError, match=r"which is of one layer of latents, but LadderMLP has several: use ELBO"):
            c.HierarchicalVAE(c.LadderMLP(), objective)
    with pytest.raises(UserError, match=r"ImportanceWeighted has no KL term for them to weigh: use 1 and 0, or"):
        c.HierarchicalVAE(objective=c.ImportanceWeighted(), beta=2.0)
    with pytest.raises(UserError, match=r"num_samples is 5, but MultiplyImportanceWeighted .* 2 equal groups: use a m"):
        c.HierarchicalVAE(objective=c.MultiplyImportanceWeighted(2), num_samples=5)
    with pytest.raises(UserError, match=r"LadderMLP\.hidden is \(8,\), but LadderMLP\.latents has 2 layers, each with"):
        c.LadderMLP((3, 2), (8,))
    with pytest.raises(UserError, match=r"bottleneck is 0\.01, which leaves 0 of VDVAE\.width = 32 channels within a"):
        c.VDVAE(bottleneck=0.01)
    with pytest.raises(UserError, match=r"quantization is 'binarize', but MixtureOfLogistics.* use 'none'"):
        experiment(model=c.HierarchicalVAE(likelihood=c.MixtureOfLogistics()), data=c.Data(quantization="binarize"))


def test_the_edges_are_allowed():
    c.Adam(b1=0.0, b2=0.0, drop_steps=(1,))
    c.GAN(ema_decay=0.0, latent_dim=1)
    c.VAE(beta=0.0, kl_warmup_steps=0)
    c.Categorical(levels=2)
    c.Evaluation(samples=2, k=1)
    c.Evaluation(samples=0)
    experiment(seed=0)
    experiment(seed=2**31 - 1, keep_every=0)
    experiment(keep_every=1000, checkpoint_every=500)


def test_combinations_that_contradict_themselves_are_refused():
    with pytest.raises(UserError, match=r"discriminator_steps is 2, but simultaneous .* use update='alternating'"):
        c.GAN(update="simultaneous", discriminator_steps=2)
    with pytest.raises(
        UserError, match=r"drop_steps is \(5,\), but Adam.schedule is Cosine, too: leave one of them out"
    ):
        c.Adam(drop_steps=(5,), schedule=c.Cosine())
    with pytest.raises(UserError, match=r"packing is 2, but a conditional .* one class per pack: use"):
        c.GAN(packing=2, conditional=True)
    with pytest.raises(UserError, match=r"packing is 2, but APA lets .*: use packing=1, or another augmentation\.$"):
        c.GAN(packing=2, augmentation=c.APA(c.Fixed(0.1)))
    with pytest.raises(UserError, match=r"batch_size is 6, which packs of GAN.packing = 4 cannot share equally: use a"):
        c.Experiment("packed", c.GAN(packing=4), steps=1, batch_size=6)
    with pytest.raises(UserError, match=r"R3GAN\.widths is empty"):
        c.R3GAN(())
    for make in (c.MLP, c.ReluMLP, c.TwoLayerMLP):
        with pytest.raises(UserError, match=rf"{make.__name__}\.hidden is empty"):
            make(hidden=())
    for make in (c.TwoMLPs, c.MaxoutMLP):
        with pytest.raises(UserError, match=rf"{make.__name__}\.discriminator is empty"):
            make(discriminator=())
    for weights in ({"beta": 2.0}, {"kl_warmup_steps": 5}):
        with pytest.raises(UserError, match=r"ImportanceWeighted has no KL term for them to weigh: use 1, 0 "):
            c.VAE(objective="importance_weighted", **weights)
    with pytest.raises(UserError, match=r"VAE.num_samples is 5, but MultiplyImportanceWeighted .* 2 equal groups"):
        c.VAE(objective=c.MultiplyImportanceWeighted(2), num_samples=5)
    for objective in (c.FreeNats(), c.StickingTheLanding(), c.DoublyReparametrised(), c.PartiallyImportanceWeighted(1)):
        with pytest.raises(UserError, match=rf"VAE.objective is {type(objective).__name__}, which is of one layer"):
            c.VAE(network=c.TwoLayerMLP(), objective=objective)
    with pytest.raises(
        UserError, match=r"latent_dim is 100, but counts the latents of both layers.* has 100: use more"
    ):
        c.VAE(network=c.TwoLayerMLP(), latent_dim=100)
    for network, likelihood in ((c.Article(), c.Bernoulli()), (c.MLP(), c.Gaussian())):
        with pytest.raises(UserError, match=r"output_bias is 'data_mean', which is for MLP with .*'zeros'"):
            c.VAE(network=network, likelihood=likelihood, output_bias="data_mean")
    for quantization in ("binarize", "dequantize"):
        with pytest.raises(UserError, match=f"quantization is '{quantization}', but a GAN"):
            experiment(model=c.GAN(), data=c.Data(quantization=quantization))
    with pytest.raises(UserError, match=r"4294967296 examples.*fewer steps"):
        experiment(steps=2**26, batch_size=64)
    assert experiment(steps=2**26 - 1, batch_size=64).steps == 2**26 - 1
    with pytest.raises(UserError, match="4294967296 examples"):  # what an update of the discriminator takes counts
        experiment(model=c.GAN(discriminator_steps=4), steps=2**24, batch_size=64)


@pytest.mark.parametrize(
    ("likelihood", "wrong", "right"),
    [
        (c.DiscretizedLogistic(), "binarize", "none"),
        (c.DiscretizedLogistic(), "dequantize", "none"),
        (c.MixtureOfLogistics(), "binarize", "none"),
        (c.Categorical(), "binarize", "none"),
        (c.Categorical(), "dequantize", "none"),
        (c.Categorical(levels=2), "none", "binarize"),
    ],
)
def test_a_likelihood_of_levels_refuses_data_of_other_levels(likelihood, wrong, right):
    with pytest.raises(UserError, match=rf"quantization is '{wrong}', but .* use '{right}'\.$"):
        experiment(model=c.VAE(likelihood=likelihood), data=c.Data(quantization=wrong))
    assert experiment(model=c.VAE(likelihood=likelihood), data=c.Data(quantization=right)).data.quantization == right


def test_levels_that_no_data_have_are_refused():
    with pytest.raises(UserError, match=r"Categorical.levels is 16, but 8-bit images have 256, .* use those\.$"):
        experiment(model=c.VAE(likelihood=c.Categorical(levels=16)))


def test_examples_per_step_are_a_batch_per_update():
    assert experiment(batch_size=5).examples_per_step == 5
    assert experiment(batch_size=5, model=c.GAN(discriminator_steps=3)).examples_per_step == 15


def test_experiments_cannot_be_changed_by_accident():
    with pytest.raises(dataclasses.FrozenInstanceError):
        SMALL.steps = 20  # type: ignore[misc]


def test_defaults_are_not_shared_by_mistake():
    """Each is frozen and hashable, so that one default may stand in many places."""
    assert hash(experiment()) == hash(experiment())
    assert {experiment(), experiment(), experiment(seed=1)} == {experiment(), experiment(seed=1)}


# Differences ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        (experiment(), None),
        (experiment(steps=11), ("steps", 10, 11)),
        (experiment(model=c.VAE(beta=2.0)), ("model.beta", 1.0, 2.0)),
        (experiment(model=c.VAE(optimizer=c.Adam(b1=0.5))), ("model.optimizer.b1", 0.9, 0.5)),
        (experiment(model=c.VAE(network=c.MLP())), ("model.network", c.Article(), c.MLP())),
        (experiment(model=c.GAN()), ("model", c.VAE(), c.GAN())),
        (experiment(data=c.Data(name="mnist"), seed=3), ("data.name", "digits", "mnist")),
    ],
)
def test_difference_names_the_first_field(other, expected):
    assert c.difference(experiment(), other) == expected


def test_difference_ignores_what_has_no_influence():
    longer = experiment(steps=99, evaluation=c.Evaluation(k=7, split="train", measures=("prd",), features=("pixels",)))
    assert c.difference(experiment(), longer, c.WITHOUT_INFLUENCE) is None
    assert c.difference(experiment(), dataclasses.replace(longer, seed=1), c.WITHOUT_INFLUENCE) == ("seed", 0, 1)
    cadence = {"log_every", "sample_every", "checkpoint_every", "keep_every", "watched"}
    assert cadence == set(c.WITHOUT_INFLUENCE) - {"steps", "evaluation"}


def test_ignored_names_count_on_the_top_floor_only():
    """`steps` of the experiment may differ; a field of that name further in may not."""
    one, other = experiment(data=c.Data(name="a")), experiment(data=c.Data(name="b"))
    assert c.difference(one, other, ("name",)) == ("data.name", "a", "b")


def test_a_start_of_an_average_by_half_life_is_refused():
    with pytest.raises(UserError, match=r"ema_start is 10, but GAN.half_life is given, .*: leave one of them out\.$"):
        c.GAN(c.MLP(), half_life=c.HalfLife(), ema_start=10)
    late = c.GAN(c.MLP(), ema_start=2, ema_decay=0.5).decay()
    assert [float(late(jnp.int32(step), 8)) for step in range(3)] == [0.0, 0.5, 0.5]


def test_a_half_life_below_a_batch_is_refused():
    model = c.GAN(c.MLP(), half_life=c.HalfLife(63.0))
    with pytest.raises(UserError, match=r"HalfLife.images is 63.0, but a batch has 64, so the average"):
        experiment(model=model, batch_size=64)
    assert experiment(model=model, batch_size=63).model == model


def test_what_a_batch_is_too_small_for_is_refused():
    for objective, name in ((c.DisentangledMeans(), "DisentangledMeans"), (c.DisentangledLatents(), "DisentangledLat")):
        with pytest.raises(UserError, match=rf"batch_size is 63, of which the covariance of 32 latents .*\({name}"):
            experiment(model=c.VAE(objective=objective), batch_size=63)
        assert experiment(model=c.VAE(objective=objective), batch_size=64)
    for objective in (c.TotalCorrelation(), c.Information()):
        with pytest.raises(
            UserError, match=rf"batch_size is 1, but {type(objective).__name__} looks at examples beside"
        ):
            experiment(model=c.VAE(objective=objective), batch_size=1)


def test_an_objective_may_be_said_by_its_name():
    assert c.VAE(objective="elbo") == c.VAE(objective=c.ELBO()) == c.VAE()
    assert c.VAE(objective="importance_weighted").objective == c.ImportanceWeighted()


def test_schedules_of_images_are_those_of_the_steps_that_show_so_many():
    def gan(rate, weight, share):
        return c.GAN(
            c.MLP(),
            contest=c.TopK(schedule=share),
            generator_optimizer=c.Clipped(1.0, c.SGD(schedule=rate)),
            discriminator_terms=(c.R2(), c.Scheduled(c.R1(), weight)),
        )

    counted = gan(c.PerImage(c.Linear(1000)), c.PerImage(), c.PerImage(c.Exponential(64, end=0.5)))
    in_steps = gan(c.Linear(2), c.Cosine(39_063), c.Exponential(1, end=0.5))
    assert c.in_steps(counted, 512) == in_steps
    assert c.in_steps(in_steps, 7) is in_steps
    of_images = c.GAN(c.MLP(), discriminator_optimizer=c.Clipped(1.0, c.AnnealedAdam(steps=7, images=1000)))
    of_steps = c.GAN(c.MLP(), discriminator_optimizer=c.Clipped(1.0, c.AnnealedAdam(steps=2)))
    assert c.in_steps(of_images, 512) == of_steps
    with pytest.raises(UserError, match=r"AnnealedAdam.images is 1000, but how many of them a step has"):
        c.AnnealedAdam(images=1000).transformation()
    with pytest.raises(UserError, match=r"AnnealedAdam.images is -1, but is a number of images"):
        c.AnnealedAdam(images=-1)
    with pytest.raises(UserError, match=r"PerImage\(.*\) counts images, .* build it from an Experiment, or state"):
        c.PerImage().schedule()
