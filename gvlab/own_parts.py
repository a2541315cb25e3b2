"""What parts of one's own give is looked at before anything is trained: kinds, shapes, whether it depends on the labels
of a conditional model, and whether it repeats."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from gvlab import config as c
from gvlab import data
from gvlab.config import own
from gvlab.losses import Contest, Round, Term
from gvlab.losses.terms import memories
from gvlab.models import Observation
from gvlab.types import Batch, Model, PRNGKey, UserError

Shape = tuple[int, ...]


def made(part: Any, method: str, *args: Any) -> Any:
    """What a part's method gives; whatever a method of one's own raises is one sentence.

    Raises:
        UserError: it fails, or gives something of another kind than the part is.
    """
    if not own.is_own(type(part)) or isinstance(part, own.Unopened):
        return getattr(part, method)(*args)
    said = where(part, method)
    found = _called(said, getattr(part, method), *args)
    _KINDS[method](said, found)
    return found


def where(part: Any, method: str) -> str:
    """How the user calls a part's method."""
    name = type(part).__name__
    return own.said(name) if name == own.FROM_FILE else f"{name}.{method}()"


def _called(where: str, function: Callable[..., Any], *args: Any) -> Any:
    try:
        return function(*args)
    except (UserError, jax.errors.ConcretizationTypeError, jax.errors.TracerArrayConversionError):
        raise  # the latter two tell that a number can't be batched
    except Exception as error:  # whatever the user's own code raises
        text = " ".join(str(error).split())
        raise UserError(
            f"{where} fails with {type(error).__name__}: {text[:300]}{'...'[: len(text) > 300]}."
        ) from error


def _two_modules(where: str, found: Any, names: str) -> None:
    if not isinstance(found, tuple) or len(found) != 2 or not all(isinstance(one, nn.Module) for one in found):
        kinds = ", ".join(type(one).__name__ for one in found) if isinstance(found, tuple) else type(found).__name__
        raise UserError(f"{where} returns ({kinds}), but must return two Flax modules, ({names}).")


def _of_class(where: str, found: Any, cls: Any, example: str) -> None:
    if not isinstance(found, cls):
        raise UserError(f"{where} returns {type(found).__name__}, but must return {example}.")


def _is_schedule(where: str, found: Any) -> None:
    if not callable(found):
        raise UserError(f"{where} returns {type(found).__name__}, but must return a function of the train step.")


def _is_dataset(where: str, found: Any) -> None:
    _of_class(where, found, data.Dataset, "a gvlab.data.Dataset (data.from_arrays makes one)")


_KINDS: dict[str, Callable[[str, Any], None]] = {
    "data": _is_dataset,
    "model": lambda where, found: _of_class(where, found, Model, "a gvlab.Model"),
    "networks": lambda where, found: _two_modules(where, found, "generator, discriminator"),
    "coders": lambda where, found: _two_modules(where, found, "encoder, decoder"),
    "contest": lambda where, found: _of_class(where, found, Contest, "a gvlab.losses.Contest"),
    "term": lambda where, found: _of_class(where, found, Term, "a gvlab.losses.Term"),
    "observation": lambda where, found: _of_class(where, found, Observation, "a gvlab.models.Observation"),
    "transformation": lambda where, found: _of_class(
        where, found, optax.GradientTransformation, "an optax.GradientTransformation"
    ),
    "schedule": _is_schedule,
}


# --- shapes -----------------------------------------------------------------------------------------------------------


def check_shapes(experiment: c.Experiment, shape: Shape, classes: int) -> None:
    """Raises `UserError` if a part of one's own gives arrays of other shapes than it must; computes nothing.

    Args:
        experiment: whose parts they are.
        shape: of one example.
        classes: 0, or how many a conditional model has.
    """
    model = experiment.model
    if not isinstance(model, c.GAN | c.VAE):
        return _check_model(model, shape, classes)
    for name, part in own.parts(model):
        if name == "network" and isinstance(model, c.GAN):
            _check_players(model, part, shape, classes)
        elif name == "network":
            _check_coders(cast(c.VAE, model), part, shape, classes)
        elif hasattr(part, "contest"):
            _check_contest(part)
        elif hasattr(part, "observation"):
            _check_observation(part, shape)
        elif hasattr(part, "transformation"):
            _check_optimizer(part)
        elif hasattr(part, "schedule"):
            rate = jax.eval_shape(made(part, "schedule"), jax.ShapeDtypeStruct((), jnp.int32))
            _require(f"{type(part).__name__}.schedule()", "a factor", jnp.shape(rate), ())
    if isinstance(model, c.GAN):
        _check_terms(model.discriminator_terms, shape)


def _check_model(part: Any, shape: Shape, classes: int) -> None:
    """As `gvlab.Model` says what its functions give."""
    model, where = made(part, "model", shape, classes, None), f"{type(part).__name__}.model()"
    batch = Batch(jnp.zeros((2, *shape)), jnp.zeros(2, jnp.int32) if classes else None)
    key, y = jax.random.key(0), None if batch.y is None else jnp.zeros(3, jnp.int32)

    def shapes(name: str, function: Callable[..., Any], *args: Any) -> Any:
        return _called(f"{name} of {where}", jax.eval_shape, function, *args)

    state = shapes("init", model.init, key, batch)
    if not hasattr(state, "step"):
        raise UserError(f"The state of {where} has no field step: count there the train steps that were taken.")
    _require(f"The state of {where}", "a step", jnp.shape(state.step), ())
    after, info = shapes("train_step", model.train_step, state, batch, key)
    if jax.tree.flatten(after) != jax.tree.flatten(state):
        raise UserError(f"train_step of {where} gives another state than it is given: keep its shapes and types.")
    for name, term in info.items():
        _require(f"train_step of {where}", f"the term {name}", jnp.shape(term), ())
    for name, term in shapes("evaluate", model.evaluate, state, batch, key).items():
        _require(f"evaluate of {where}", f"the term {name}", jnp.shape(term), (2,))
    sampled = shapes("sample", lambda state, key: model.sample(state, key, 3, y), state, key)
    _require(f"sample of {where}", "3 examples", jnp.shape(sampled), (3, *shape))
    z = shapes("prior", lambda key: model.prior(key, 3), key)
    if len(z.shape) != 2 or len(z) != 3:
        raise UserError(f"prior of {where} gives latents of shape {z.shape}, but must give [3, latent].")
    decoded = shapes("decode", lambda state, z: model.decode(state, z, y), state, z)
    _require(f"decode of {where}", "3 examples", jnp.shape(decoded), (3, *shape))
    if model.encode is not None:
        for name, array in zip(("means", "log-variances"), shapes("encode", model.encode, state, batch), strict=True):
            _require(f"encode of {where}", name, jnp.shape(array), (2, z.shape[1]))
    if model.log_weights is not None:
        weights = shapes("log_weights", lambda state, key: model.log_weights(state, batch, key, 5), state, key)
        _require(f"log_weights of {where}", "nats of 5 draws for 2 examples", jnp.shape(weights), (5, 2))
    # Of all that it computes XLA leaves the step alone.
    began = jax.jit(lambda: model.init(key, batch).step)()
    ended = jax.jit(lambda: model.train_step(model.init(key, batch), batch, key)[0].step)()
    if (began, ended) != (0, 1):
        raise UserError(
            f"The state of {where} has the step {began}, and after a train_step {ended}, but must count from 0."
        )


def _check_players(model: c.GAN, part: Any, shape: Shape, classes: int) -> None:
    generator, discriminator = made(part, "networks", shape, classes, None)
    where = f"{type(part).__name__}.networks()"
    images = _output(f"The generator of {where}", generator, (2, model.latent_dim), classes)
    _require(f"The generator of {where}", "examples", jnp.shape(images), (2, *shape))
    logits = _output(f"The discriminator of {where}", discriminator, (2, *shape), classes)
    _require(f"The discriminator of {where}", "logits", jnp.shape(logits), (2,))


def _check_coders(model: c.VAE, part: Any, shape: Shape, classes: int) -> None:
    parameters = made(model.likelihood, "observation").parameters
    encoder, decoder = made(part, "coders", shape, model.latent_dim, parameters, classes, None)
    where = f"{type(part).__name__}.coders()"
    posterior = _output(f"The encoder of {where}", encoder, (2, *shape), classes)
    if not isinstance(posterior, tuple) or len(posterior) != 2:
        raise UserError(
            f"The encoder of {where} gives {type(posterior).__name__}, but must give a pair (mean, logvar)."
        )
    for name, array in zip(("means", "log-variances"), posterior, strict=True):
        _require(f"The encoder of {where}", name, jnp.shape(array), (2, model.latent_dim))
    raw = _output(f"The decoder of {where}", decoder, (2, model.latent_dim), classes)
    _require(
        f"The decoder of {where}", "parameters of pixels", jnp.shape(raw), (2, *shape[:-1], shape[-1] * parameters)
    )


def _check_contest(part: Any) -> None:
    logits = jax.ShapeDtypeStruct((3,), jnp.float32)
    contest = made(part, "contest")
    for side in contest._fields:
        where = f"The {side}'s loss of {type(part).__name__}.contest()"
        loss = _called(where, jax.eval_shape, getattr(contest, side), logits, logits)
        _require(where, "losses of 3 pairs", jnp.shape(loss), (3,))


def _check_terms(terms: tuple[Any, ...], shape: Shape) -> None:
    for term in terms:
        part = term.inner if isinstance(term, c.Every) else term
        if own.is_own(type(part)):
            _check_term(part, shape)
    memories([made(term, "term") for term in terms])  # which wants every name once


def _check_term(part: Any, shape: Shape) -> None:
    term, where = made(part, "term"), f"{type(part).__name__}.term()"
    if not isinstance(term.name, str) or not term.name:
        raise UserError(f"The name of {where} is {term.name!r}, but must be the text that its curve is called by.")

    def critic(x: jax.Array) -> jax.Array:
        return x.reshape(len(x), -1).sum(1)

    def generate(z: jax.Array) -> jax.Array:
        return jnp.broadcast_to(z.sum(1).reshape(-1, *[1] * len(shape)), (len(z), *shape))

    def value(key: PRNGKey, z: jax.Array, memory: Any) -> Any:
        x = generate(z)
        return term.value(Round(jnp.int32(0), key, x, x, z, critic, generate, critic(x), critic(x)), memory)

    memory = _called(f"init of {where}", jax.eval_shape, term.init)
    found = _called(f"value of {where}", jax.eval_shape, value, jax.random.key(0), jnp.zeros((3, 2)), memory)
    if not isinstance(found, tuple) or len(found) != 2:
        raise UserError(f"value of {where} gives no pair, but must give (loss [batch], memory of the next step).")
    _require(f"value of {where}", "losses of 3 examples", jnp.shape(found[0]), (3,))
    before, after = (jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), tree) for tree in (memory, found[1]))
    if before != after:
        raise UserError(f"value of {where} gives another memory than init does: keep its structure, shapes and types.")


def _check_observation(part: Any, shape: Shape) -> None:
    observation, where = made(part, "observation"), f"{type(part).__name__}.observation()"
    x = jax.ShapeDtypeStruct((3, *shape), jnp.float32)
    raw = jax.ShapeDtypeStruct((2, 3, *shape[:-1], shape[-1] * observation.parameters), jnp.float32)
    log_prob = _called(f"log_prob of {where}", jax.eval_shape, observation.log_prob, raw, x)
    _require(f"log_prob of {where}", "nats of 2 draws for 3 examples", jnp.shape(log_prob), (2, 3))
    mean = _called(f"mean of {where}", jax.eval_shape, observation.mean, raw)
    _require(f"mean of {where}", "the examples of 2 draws for 3", jnp.shape(mean), (2, 3, *shape))


def _check_optimizer(part: Any) -> None:
    where, params = f"{type(part).__name__}.transformation()", {"w": jnp.zeros((2, 3)), "b": jnp.zeros(3)}
    optimizer = optax.with_extra_args_support(made(part, "transformation", 1))

    def update(step: jax.Array) -> Any:
        return optimizer.update(params, optimizer.init(params), params, step=step)[0]

    updates = _called(where, jax.eval_shape, update, jax.ShapeDtypeStruct((), jnp.int32))
    if jax.tree.map(jnp.shape, updates) != jax.tree.map(jnp.shape, params):
        raise UserError(f"{where} gives updates of other shapes than the parameters have: give one for each of them.")


def _output(where: str, module: nn.Module, shape: Shape, classes: int) -> Any:
    y = jnp.zeros((shape[0], classes)) if classes else None

    def output(key: PRNGKey, x: jax.Array) -> Any:
        return module.init_with_output(key, x, y, train=True)[0]

    return _called(where, jax.eval_shape, output, jax.random.key(0), jnp.zeros(shape))


def _require(where: str, what: str, found: Any, expected: Shape) -> None:
    if found != expected:
        raise UserError(f"{where} gives {what} of shape {found}, but must give {expected}.")


# --- labels -----------------------------------------------------------------------------------------------------------


def unread_labels(model: Any, shape: Shape, classes: int) -> str | None:
    """A sentence, if own networks of a conditional model make the same of every class; computes nothing.

    Args:
        model: the configuration, whose parts have the right shapes.
        shape: of one example.
        classes: of the model.
    """
    whose, functions = _of_labels(model, shape, classes)
    if not (blind := [name for name, (function, y) in functions.items() if not _depends(function, y)]):
        return None
    who = f"The {' and the '.join(blind)} of {whose} {'make' if blind[1:] else 'makes'}"
    return (
        f"{who} the same of every class, although the model is conditional: give the labels y a way in, as by "
        "networks.append_label(features, y)."
    )


def _of_labels(model: Any, shape: Shape, classes: int) -> tuple[str, dict[str, tuple[Callable[..., Any], jax.Array]]]:
    """(whose networks they are, by name each as a function of labels, and labels)."""
    key = jax.random.key(0)
    if not isinstance(model, c.GAN | c.VAE):
        made_of, x, labels = made(model, "model", shape, classes, None), jnp.zeros((2, *shape)), jnp.zeros(2, jnp.int32)

        def decode(y: jax.Array) -> Any:
            return made_of.decode(made_of.init(key, Batch(x, labels)), made_of.prior(key, 2), y)

        return where(model, "model"), {"function decode": (decode, labels)}
    latents: Shape = (2, model.latent_dim)
    examples: Shape = (2, *shape)
    if isinstance(model, c.GAN):
        method, names, inputs = "networks", ("generator", "discriminator"), (latents, examples)
        modules = made(model.network, method, shape, classes, None)
    else:
        method, names, inputs = "coders", ("encoder", "decoder"), (examples, latents)
        parameters = made(model.likelihood, "observation").parameters
        modules = made(model.network, method, shape, model.latent_dim, parameters, classes, None)

    def output(module: nn.Module, given: Shape) -> Callable[[jax.Array], Any]:
        return lambda y: module.init_with_output(key, jnp.zeros(given), y, train=True)[0]

    y = jnp.zeros((2, classes))
    each = zip(names, modules, inputs, strict=True)
    return where(model.network, method), {name: (output(module, given), y) for name, module, given in each}


def _depends(function: Callable[[jax.Array], Any], y: jax.Array) -> bool:
    """Whether anything that is made of y is part of what the function gives, by its program, in which what is jitted by
    itself is one operation; values are not looked at, which may be alike before training."""
    jaxpr = jax.make_jaxpr(function)(y).jaxpr
    made_of_y = {id(variable) for variable in jaxpr.invars}
    for equation in jaxpr.eqns:
        if any(id(variable) in made_of_y for variable in equation.invars):
            made_of_y |= {id(variable) for variable in equation.outvars}
    return any(id(variable) in made_of_y for variable in jaxpr.outvars)


# --- the same every time ----------------------------------------------------------------------------------------------


def check_repeats(models: Sequence[Model], batch: Batch) -> None:
    """Raises `UserError` if two models that were built of one experiment are not the same program.

    Args:
        models: two of them.
        batch: an example or more in the shape that the model sees.
    """
    key = jax.eval_shape(jax.random.key, 0)
    texts = []
    for model in models:
        state = jax.eval_shape(model.init, key, batch)
        lowered = (jax.jit(model.init).lower(key, batch), jax.jit(model.train_step).lower(state, batch, key))
        texts.append([one.as_text() for one in lowered])
    if texts[0] != texts[1]:
        raise UserError(
            "The experiment's own parts make another program each time that they are built, so that no seed repeats "
            "it: draw nothing at random there, and read no clock; what is random in a training comes from its key."
        )
