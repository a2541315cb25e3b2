"""What parts of one's own give is looked at before training: kinds, shapes and types, and whether it repeats."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

import flax.errors
import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from gvlab import config as c
from gvlab import data
from gvlab.augment import Augmentation
from gvlab.config import own
from gvlab.config.terms import innermost
from gvlab.losses import Contest, Round, Term
from gvlab.losses.terms import memories
from gvlab.models import Observation
from gvlab.models.base import eval_apply, train_apply
from gvlab.types import Batch, Judged, Model, PRNGKey, UserError

Shape = tuple[int, ...]


def made(part: Any, method: str, *args: Any) -> Any:
    """What a part's method gives; whatever a method of one's own raises is one sentence.

    Raises:
        UserError: it fails, or gives something of another kind than the part is.
    """
    if not own.is_own(type(part)) or isinstance(part, own.Unopened):
        return getattr(part, method)(*args)
    said = where(part, method)
    found = called(said, getattr(part, method), *args, let=_NO_VALUE if _is_traced(part) else ())
    _KINDS[method](said, found)
    return found


_NO_VALUE = (jax.errors.ConcretizationTypeError, jax.errors.TracerArrayConversionError)
"""Raised where Python needs the value of an array that JAX is tracing. Of a part whose own numbers are traced they tell
that these can't be batched over runs, which is for the caller to say."""


def _is_traced(part: Any) -> bool:
    """Whether a number of the part, or of one within it, is an array that JAX is tracing."""
    if dataclasses.is_dataclass(part):
        return any(_is_traced(getattr(part, field.name)) for field in dataclasses.fields(part))
    return isinstance(part, jax.core.Tracer)


def where(part: Any, method: str) -> str:
    """How the user calls a part's method."""
    name = type(part).__name__
    return own.said(name) if name == own.FROM_FILE else f"{name}.{method}()"


def called(
    where: str, function: Callable[..., Any], *args: Any, remedy: str = "", let: tuple[type[Exception], ...] = ()
) -> Any:
    """What the function gives; whatever it raises is one sentence, with this remedy unless the error has its own, but
    for UserError and what is let through."""
    try:
        return function(*args)
    except Exception as error:  # whatever the user's own code raises
        if isinstance(error, (UserError, *let)):
            raise
        remedy = next((known for errors, known in _REMEDIES.items() if isinstance(error, errors)), remedy)
        raise UserError(_failure(where, error, remedy)) from error


def _failure(where: str, error: Exception, remedy: str) -> str:
    """A sentence: what failed with which error, in the library's own words, and what to do, where that is known."""
    text = str(error).strip()
    if remedy:
        text = text.partition("\n")[0]  # further lines of JAX's say where it was traced, which the remedy needs not
    text = re.sub(r" \(https?://\S+\)$", "", " ".join(text.split()))  # Flax's manual
    text = text[:300] + "..." if len(text) > 300 else text.rstrip(".")
    fails = f"{where} fails with {type(error).__name__}"
    if remedy:
        return f"{fails}{text and f' ({text})'}: {remedy}."
    return f"{fails}{text and f': {text}'}{'.' * (not text.endswith('.'))}"


_REMEDIES: dict[tuple[type[Exception], ...], str] = {
    (flax.errors.InvalidRngError,): "modules are given no random numbers, so leave dropout and the like out",
    (jax.errors.TracerBoolConversionError,): (
        "while JAX traces a function its arrays have no values, so choose by jnp.where or jax.lax.cond instead of if"
    ),
    (*_NO_VALUE, jax.errors.TracerIntegerConversionError): (
        "while JAX traces a function its arrays have no values, so compute with jax.numpy, and use only their shapes "
        "in Python"
    ),
    (flax.errors.ScopeCollectionNotFound,): (
        "of a module's variables only params and batch_stats are kept from step to step, so leave others out"
    ),
    (flax.errors.ModifyScopeVariableError,): (
        "only batch_stats may change, and only with train=True, so give BatchNorm use_running_average=not train"
    ),
    (flax.errors.ScopeParamNotFoundError,): (
        "parameters are made by a call with train=True, in one shape, so use the same layers with train=False"
    ),
}


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
    "augmentation": lambda where, found: _of_class(where, found, Augmentation, "a gvlab.augment.Augmentation"),
    "observation": lambda where, found: _of_class(where, found, Observation, "a gvlab.models.Observation"),
    "transformation": lambda where, found: _of_class(
        where, found, optax.GradientTransformation, "an optax.GradientTransformation"
    ),
    "schedule": _is_schedule,
}


# --- shapes -----------------------------------------------------------------------------------------------------------


def check_shapes(experiment: c.Experiment, shape: Shape, classes: int) -> None:
    """Raises `UserError` if a part of one's own fails, or gives arrays of other shapes or types than it must.

    Nothing is computed.

    Args:
        experiment: whose parts they are.
        shape: of one example.
        classes: 0, or how many a conditional model has.
    """
    model = experiment.model
    if own.is_own(type(model)):
        return _check_model(model, shape, classes)
    for name, part in own.parts(model):
        if name == "network" and isinstance(model, c.GAN):
            _check_players(model, part, shape, classes)
        elif name == "network":
            _check_coders(cast(c.VAE | c.BinaryVAE, model), part, shape, classes)
        elif hasattr(part, "contest"):
            _check_contest(part)
        elif hasattr(part, "observation"):
            _check_observation(part, shape)
        elif hasattr(part, "transformation"):
            _check_optimizer(part)
        elif hasattr(part, "schedule"):
            _check_schedule(part)
    if isinstance(model, c.GAN):
        _check_added(model.discriminator_terms, shape)
        _check_added(model.generator_terms, shape)


def _check_model(part: Any, shape: Shape, classes: int) -> None:
    """As `gvlab.Model` says what its functions give."""
    model, where = made(part, "model", shape, classes, None), f"{type(part).__name__}.model()"
    key, y = jax.random.key(0), jnp.zeros(3, jnp.int32) if classes else None

    def shapes(name: str, function: Callable[..., Any], *args: Any) -> Any:
        return called(f"{name} of {where}", jax.eval_shape, function, *args)

    batch, of_three = (Batch(jnp.zeros((n, *shape)), None if y is None else y[:n]) for n in (2, 3))
    state = shapes("init", model.init, key, batch)
    if not hasattr(state, "step"):
        raise UserError(f"The state of {where} has no field step: count there the train steps that were taken.")
    require(f"The state of {where}", "a step", state.step, (), None)
    for given in (batch, of_three):
        _check_terms(model, where, state, given, shapes)
    sampled = shapes("sample", lambda state, key: model.sample(state, key, 3, y), state, key)
    require(f"sample of {where}", "3 examples", sampled, (3, *shape))
    draw = model.learned_prior or (lambda state, key, n: model.prior(key, n))
    z = shapes("prior", lambda state, key: draw(state, key, 3), state, key)
    if not hasattr(z, "shape") or len(z.shape) != 2 or len(z) != 3:
        found = getattr(z, "shape", None)
        raise UserError(f"prior of {where} gives latents of shape {found}, but must give [3, latent].")
    decoded = shapes("decode", lambda state, z: model.decode(state, z, y), state, z)
    require(f"decode of {where}", "3 examples", decoded, (3, *shape))
    if model.encode is not None:
        posterior = _pair(f"encode of {where}", shapes("encode", model.encode, state, batch), "(mean, logvar)")
        for name, array in zip(("means", "log-variances"), posterior, strict=True):
            require(f"encode of {where}", name, array, (2, z.shape[1]))
    if model.log_weights is not None:
        weights = shapes("log_weights", lambda state, key: model.log_weights(state, batch, key, 5), state, key)
        require(f"log_weights of {where}", "nats of 5 draws for 2 examples", weights, (5, 2))
    # Of all that it computes XLA leaves the step alone.
    began = jax.jit(lambda: model.init(key, batch).step)()
    ended = jax.jit(lambda: model.train_step(model.init(key, batch), batch, key)[0].step)()
    if (began, ended) != (0, 1):
        raise UserError(
            f"The state of {where} has the step {began}, and after a train_step {ended}, but must count from 0."
        )


def _check_terms(model: Model, where: str, state: Any, batch: Batch, shapes: Callable[..., Any]) -> None:
    """What a train step and an evaluation give."""
    key = jax.random.key(0)
    stepped = shapes("train_step", model.train_step, state, batch, key)
    after, info = _pair(f"train_step of {where}", stepped, "(state, terms)")
    if jax.tree.flatten(after) != jax.tree.flatten(state):
        raise UserError(f"train_step of {where} gives another state than it is given: keep its shapes and types.")
    for name, term in _terms(f"train_step of {where}", info):
        require(f"train_step of {where}", f"the term {name}", term, (), None)
    for name, term in _terms(f"evaluate of {where}", shapes("evaluate", model.evaluate, state, batch, key)):
        require(f"evaluate of {where}", f"the term {name}", term, (len(batch.x),))


def _terms(where: str, found: Any) -> list[tuple[str, Any]]:
    if not isinstance(found, dict):
        raise UserError(f"{where} gives {type(found).__name__} for its terms, but must give a dict of them by name.")
    return list(found.items())


def _check_players(model: c.GAN, part: Any, shape: Shape, classes: int) -> None:
    generator, discriminator = made(part, "networks", shape, classes, None)
    where = f"{type(part).__name__}.networks()"
    for name, n, images in _outputs(f"The generator of {where}", generator, (model.latent_dim,), classes):
        require(name, "examples", images, (n, *shape))
    for name, n, output in _outputs(f"The discriminator of {where}", discriminator, shape, classes):
        require(name, "logits", output.logits if isinstance(output, Judged) else output, (n,))


def _check_coders(model: c.VAE | c.BinaryVAE, part: Any, shape: Shape, classes: int) -> None:
    decoded, parameters = made(model.likelihood, "observation").made_for(shape)
    encoder, decoder = made(part, "coders", decoded, model.latent_dim, parameters, classes, None)
    where = f"{type(part).__name__}.coders()"
    for name, n, posterior in _outputs(f"The encoder of {where}", encoder, shape, classes):
        for head, array in zip(("means", "log-variances"), _pair(name, posterior, "(mean, logvar)"), strict=True):
            require(name, head, array, (n, model.latent_dim))
    for name, n, raw in _outputs(f"The decoder of {where}", decoder, (model.latent_dim,), classes):
        require(name, "parameters of pixels", raw, (n, *decoded[:-1], decoded[-1] * parameters))


def _outputs(where: str, module: nn.Module, given: Shape, classes: int) -> Iterator[tuple[str, int, Any]]:
    """(how it is called, of how many examples, what it gives), as the models call it: in training and in use, of
    batches of two sizes; each input has the shape [*given]."""

    def init(key: jax.Array, x: jax.Array, y: jax.Array | None) -> Any:
        return module.init(key, x, y, train=True)

    def inputs(n: int) -> tuple[jax.Array, jax.Array | None]:
        return jnp.zeros((n, *given)), jnp.zeros((n, classes)) if classes else None

    variables = called(where, jax.eval_shape, init, jax.random.key(0), *inputs(2))
    if "params" not in variables:
        raise UserError(f"{where} has no parameters, so that there is nothing to train: give it a layer, as nn.Dense.")
    learned = variables["params"], variables.get("batch_stats", {})
    for train, apply in (
        (True, lambda *args: train_apply(module, *args)[0]),
        (False, functools.partial(eval_apply, module)),
    ):
        for n, remedy in ((2, ""), (3, "a batch has any number of examples, so reshape by x.shape[0]")):
            name = f"{where}{'' if train else ' with train=False'}{'' if n == 2 else f' on a batch of {n}'}"
            yield name, n, called(name, jax.eval_shape, apply, *learned, *inputs(n), remedy=remedy)


def _check_contest(part: Any) -> None:
    logits = jax.ShapeDtypeStruct((3,), jnp.float32)
    contest = made(part, "contest")
    for side in ("discriminator", "generator"):
        where = f"The {side}'s loss of {type(part).__name__}.contest()"
        loss = called(where, jax.eval_shape, getattr(contest, side), logits, logits)
        require(where, "losses of 3 pairs", loss, (3,))


def _check_added(terms: tuple[Any, ...], shape: Shape) -> None:
    for term in terms:
        part = innermost(term)
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
        this = Round(jnp.int32(0), key, x, x, z, critic, generate, critic(x), critic(x))
        said = Judged(critic(x), z, z, z, z)  # as of two classes
        return term.value(this._replace(y=z, judged_real=said, judged_fake=said), memory)

    memory = called(f"init of {where}", jax.eval_shape, term.init)
    found = called(f"value of {where}", jax.eval_shape, value, jax.random.key(0), jnp.zeros((3, 2)), memory)
    if not isinstance(found, tuple) or len(found) != 2:
        raise UserError(f"value of {where} gives no pair, but must give (loss [batch], memory of the next step).")
    require(f"value of {where}", "losses of 3 examples", found[0], (3,))
    before, after = (jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), tree) for tree in (memory, found[1]))
    if before != after:
        raise UserError(f"value of {where} gives another memory than init does: keep its structure, shapes and types.")


def _check_observation(part: Any, shape: Shape) -> None:
    observation, where = made(part, "observation"), f"{type(part).__name__}.observation()"
    x = jax.ShapeDtypeStruct((3, *shape), jnp.float32)
    decoded, parameters = observation.made_for(shape)
    raw = jax.ShapeDtypeStruct((2, 3, *decoded[:-1], decoded[-1] * parameters + observation.shared), jnp.float32)
    log_prob = called(f"log_prob of {where}", jax.eval_shape, observation.log_prob, raw, x)
    require(f"log_prob of {where}", "nats of 2 draws for 3 examples", log_prob, (2, 3))
    mean = called(f"mean of {where}", jax.eval_shape, observation.mean, raw)
    require(f"mean of {where}", "the examples of 2 draws for 3", mean, (2, 3, *shape))


def _check_optimizer(part: Any) -> None:
    where, params = f"{type(part).__name__}.transformation()", {"w": jnp.zeros((2, 3)), "b": jnp.zeros(3)}
    optimizer = optax.with_extra_args_support(made(part, "transformation", 1))

    def update(state: Any, step: jax.Array) -> Any:
        return optimizer.update(params, state, params, step=step)[0]

    state = called(f"The init of {where}", jax.eval_shape, optimizer.init, params)
    updates = called(f"The update of {where}", jax.eval_shape, update, state, jax.ShapeDtypeStruct((), jnp.int32))
    if jax.tree.map(jnp.shape, updates) != jax.tree.map(jnp.shape, params):
        raise UserError(f"{where} gives updates of other shapes than the parameters have: give one for each of them.")


def _check_schedule(part: Any) -> None:
    where, schedule = f"{type(part).__name__}.schedule()", made(part, "schedule")
    factor = called(f"What {where} returns", jax.eval_shape, schedule, jax.ShapeDtypeStruct((), jnp.int32))
    require(where, "a factor", factor, (), None)


def _pair(where: str, found: Any, names: str) -> Any:
    if not isinstance(found, tuple) or len(found) != 2:
        raise UserError(f"{where} gives {type(found).__name__}, but must give a pair {names}.")
    return found


def require(where: str, what: str, found: Any, shape: Shape, dtype: Any = jnp.float32) -> None:
    """Raises `UserError` unless this is an array of that shape, and of that type unless it may have any."""
    if not hasattr(found, "shape"):
        raise UserError(f"{where} gives {type(found).__name__} for {what}, but must give one array.")
    if found.shape != shape:
        raise UserError(f"{where} gives {what} of shape {found.shape}, but must give {shape}.")
    if dtype is not None and found.dtype != dtype:  # of integers there are no gradients, and nothing would be learned
        raise UserError(f"{where} gives {what} of type {found.dtype}, but must give {jnp.dtype(dtype).name}.")


# --- the same every time ----------------------------------------------------------------------------------------------


def check_repeats(parts: Sequence[Any], models: Sequence[Model], batch: Batch) -> None:
    """Raises `UserError` if two models that were built of one experiment are not the same program, or it fails.

    Args:
        parts: of one's own that the models are made of.
        models: two of them.
        batch: an example or more in the shape that the model sees.
    """
    key = jax.eval_shape(jax.random.key, 0)

    def program(model: Model) -> tuple[str, str]:
        state = jax.eval_shape(model.init, key, batch)
        lowered = (jax.jit(model.init).lower(key, batch), jax.jit(model.train_step).lower(state, batch, key))
        return lowered[0].as_text(), lowered[1].as_text()

    names = " and ".join(dict.fromkeys(type(part).__name__ for part in parts))
    one, other = (called(f"A train step with {names}", program, model) for model in models)
    if one != other:
        raise UserError(
            "The experiment's own parts make another program each time that they are built, so that no seed repeats "
            "it: draw nothing at random there, and read no clock; what is random in a training comes from its key."
        )
