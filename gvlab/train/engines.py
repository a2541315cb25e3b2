"""The compiled functions of an experiment: for one run, or for several runs trained as one program.

Runs that are trained together differ in nothing but numbers: the seed, and scalar hyper-parameters such as a learning
rate. The state, the key and those numbers get a leading axis, the step is `vmap`ped over it, and the axis is split over
the devices.
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from gvlab import build, onednn, parallel, rng, tree
from gvlab import config as c
from gvlab.build import Program
from gvlab.train import sources
from gvlab.train.watch import watch_of
from gvlab.types import Batch, PyTree, UserError

PICTURES = 64
"""Samples in each picture that training draws."""
MEMORY_SHARE = 0.8
"""Of a device's memory, for what is trained together; the rest is for pictures, evaluation and fragmentation."""

Step = Callable[[PyTree, Batch, PyTree], tuple[PyTree, jax.Array]]


class Parts(NamedTuple):
    """What is computed of one run, as pure functions: an engine puts them together, and by them a unit is known."""

    init: Callable[[jax.Array], PyTree]
    """key -> state."""
    batch: Callable[[Batch, jax.Array, jax.Array], Batch]
    """(data, key, step) -> the batch of that step."""
    step: Callable[[PyTree, Batch, jax.Array], tuple[PyTree, dict[str, jax.Array]]]
    """(state, batch, key) -> (next state, terms)."""
    sample: Callable[[PyTree], jax.Array]
    """state -> samples, images in [0, 1], of latents that are the same in every run; of a model without any, none."""


def parts(program: Program) -> Parts:
    """The functions of a program."""
    model = program.model

    def sample(state: PyTree) -> jax.Array:
        if model.unsampled:
            return jnp.zeros((0, *program.dataset.shape))
        return program.to_unit(model.sample(state, rng.stream(rng.root(0), rng.PICTURE), PICTURES))

    return Parts(
        init=lambda key: model.init(rng.stream(key, rng.INIT), program.first_batch()),
        batch=program.draw,
        step=lambda state, batch, key: model.train_step(state, batch, rng.stream(key, rng.TRAIN, state.step)),
        sample=sample,
    )


@dataclass(frozen=True)
class Engine:
    """The compiled functions of a program; made once, used for every run."""

    program: Program
    names: tuple[str, ...]
    """The terms of a train step, in the order of the rows below."""
    inputs: Callable[[Sequence[c.Experiment]], PyTree]
    """Runs -> what the functions below take of each run: its key, and its own hyper-parameters."""
    init: Callable[[PyTree], PyTree]
    """inputs -> state."""
    single: Step
    """(state, data, inputs) -> (next state, [1, runs, terms])."""
    many: Step | None
    """(state, data, inputs) -> (state after `chunk` steps, [chunk, runs, terms]); None on CPU."""
    chunk: int
    is_finite: Callable[[PyTree], jax.Array]
    """state -> [runs]."""
    member: Callable[[PyTree, int], PyTree]
    """(state, i) -> the state of run i alone."""
    join: Callable[[list[PyTree]], PyTree]
    """The states of single runs -> state: the inverse of `member`."""
    sample: Callable[[PyTree], jax.Array]
    """The state of one run -> samples, images in [0, 1], of the latents that are the same in every run of every
    experiment."""
    watch: Callable[[PyTree], dict[str, jax.Array]] | None
    """state -> curves of how stable training is, each [runs]; None where none are wanted."""
    source: sources.Source
    """Of the examples."""
    examples: Callable[[PyTree, int, Iterable[int]], Generator[Batch]]
    """(inputs, first step, numbers of steps) -> what `single` or `many` take as data, dispatch after dispatch."""
    where: parallel.Sharding
    """Of the state of one run."""

    @property
    def data(self) -> Batch:
        """The training split, on the device(s), where it lies there."""
        assert isinstance(self.source, sources.Resident)
        return self.source.arrays

    def dispatches(self, inputs: PyTree, first: int, last: int) -> Generator[tuple[Step, Batch]]:
        """From the step `first` to the step `last`, what to call next and the examples for it; to be closed.

        Many steps where they fit before whatever comes next, else one.
        """

        def counts() -> Iterator[int]:
            step = first
            while step < last:
                many = self.many is not None and step % self.chunk == 0 and step + self.chunk <= last
                yield self.chunk if many else 1
                step += self.chunk if many else 1

        with contextlib.closing(self.examples(inputs, first, counts())) as examples:
            for count, batch in zip(counts(), examples, strict=True):
                yield (self.single if count == 1 or self.many is None else self.many), batch


def scans_well(device: jax.Device) -> bool:
    """Whether many steps go into one dispatch: everywhere but on CPU."""
    return device.platform != "cpu"


def alone(program: Program, devices: Sequence[jax.Device] | None = None) -> Engine:
    """For one run at a time. Puts the data on the devices, if there is room, and prepares the functions; they compile
    when first called.

    By default the batch is split over all devices, or over as many of them as divide it.

    On accelerators many steps go into one dispatch, by `lax.scan`. On CPU every step is its own: XLA runs convolutions
    inside loops 20 to 40 times slower there.

    Raises:
        UserError: a batch does not divide over the devices, or the networks do not fit the data.
    """
    experiment = program.experiment
    mesh = parallel.data_mesh(devices or parallel.devices_for(experiment.examples_per_step))
    whole, share = parallel.replicated(mesh), parallel.split(mesh)
    parallel.check_divides(experiment.examples_per_step, mesh.size)
    source = sources.of(program, mesh)
    init, step, names = _functions(program, source, whole, share)

    def single(state: PyTree, examples: Batch, key: jax.Array) -> tuple[PyTree, jax.Array]:
        state, terms = step(state, examples, key, {})
        return state, terms[None, None]

    key_of = jax.jit(rng.root, out_shardings=whole)  # of the seed as an argument: a constant would be a program each
    chunk, watch = _chunk(experiment, source), watch_of(program)
    scans = scans_well(mesh.devices.flat[0]) and chunk > 1
    return Engine(
        program=program,
        names=names,
        inputs=lambda experiments: key_of(experiments[0].seed),
        init=jax.jit(lambda key: init(key, {}), out_shardings=whole),
        single=jax.jit(single, donate_argnums=0, out_shardings=whole),
        many=jax.jit(source.many(single, chunk), donate_argnums=0, out_shardings=whole) if scans else None,
        chunk=chunk,
        is_finite=jax.jit(lambda state: tree.all_finite(state)[None], out_shardings=whole),
        member=lambda state, i: state,
        join=lambda states: states[0],
        sample=jax.jit(parts(program).sample, out_shardings=whole),
        watch=watch and jax.jit(lambda state: jax.tree.map(lambda leaf: leaf[None], watch(state)), out_shardings=whole),
        source=source,
        examples=source.examples,
        where=whole,
    )


def together(
    program: Program, runs: int, batched: Sequence[str] = (), devices: Sequence[jax.Device] | None = None
) -> Engine:
    """For several runs at once, whose results are those of `alone` but for rounding.

    A run in which a term of the loss is not finite stays where it was before that step; the others don't notice. The
    runs are split over as many of the devices as divide them.

    Args:
        program: the experiment on its data.
        runs: how many; the engine takes other numbers, too, but may then compute each run on every device.
        batched: the numbers of the configuration in which the runs differ besides the seed, such as
            `model.optimizer.learning_rate`; they enter as arrays.
        devices: all of them by default.

    Raises:
        UserError: one of `batched` is no number, or decides what is computed and so can't be an array.
    """
    for name in batched:
        if not isinstance(found := c.value(program.experiment, name), float):
            raise UserError(
                f"{name} is {found!r}, but only numbers that need not be whole can share a program: compare its values "
                "as experiments of their own."
            )
    devices = jax.devices() if devices is None else devices
    mesh = parallel.data_mesh(devices[: parallel.divisor(runs, len(devices))])
    first = parallel.replicated(parallel.data_mesh(devices[:1]))
    source = sources.of(program, mesh)
    init, step, names = _functions(program, source, parallel.replicated(mesh), None, batched)

    def one(state: PyTree, examples: Batch, key: jax.Array, values: dict[str, jax.Array]) -> tuple[PyTree, jax.Array]:
        after, terms = step(state, examples, key, values)
        fine = jnp.isfinite(terms).all()
        return jax.tree.map(lambda new, old: jnp.where(fine, new, old), after, state), terms

    each = jax.vmap(one, in_axes=(0, source.runs_axis, 0, 0))

    def single(state: PyTree, examples: Batch, inputs: tuple[jax.Array, dict]) -> tuple[PyTree, jax.Array]:
        state, terms = each(state, examples, *inputs)
        return state, terms[None]

    share = functools.partial(parallel.split_if_even, mesh)

    def inputs(experiments: Sequence[c.Experiment]) -> PyTree:
        keys = jnp.stack([rng.root(experiment.seed) for experiment in experiments])
        values = {name: jnp.array([c.value(e, name) for e in experiments], jnp.float32) for name in batched}
        return jax.device_put((keys, values), share(len(experiments)))

    take = jax.jit(lambda state, i: jax.tree.map(lambda leaf: leaf[i], state))  # one dispatch, not one for each leaf
    chunk, watch = _chunk(program.experiment, source), watch_of(program)
    scans = scans_well(devices[0]) and chunk > 1
    return Engine(
        program=program,
        names=names,
        inputs=inputs,
        init=jax.jit(lambda inputs: jax.vmap(init)(*inputs)),
        single=jax.jit(single, donate_argnums=0),
        many=jax.jit(source.many(single, chunk), donate_argnums=0) if scans else None,
        chunk=chunk,
        is_finite=jax.jit(jax.vmap(tree.all_finite)),
        member=lambda state, i: jax.device_put(take(state, i), first),
        join=lambda states: jax.device_put(
            tree.stack(jax.device_get(states)), parallel.split_if_even(mesh, len(states))
        ),
        sample=jax.jit(parts(program).sample, out_shardings=first),
        watch=watch and jax.jit(jax.vmap(watch)),
        source=source,
        examples=lambda inputs, first, counts: source.examples(inputs[0], first, counts),
        where=first,
    )


def _chunk(experiment: c.Experiment, source: sources.Source) -> int:
    return source.longest(math.gcd(experiment.log_every, experiment.sample_every, experiment.checkpoint_every))


_traced_once = functools.partial(jax.jit, inline=True)
"""For what is asked for its shapes first and then becomes a part of a larger program, which is the same as without.
JAX knows it again if the shapes are asked for with the mesh on which the program runs."""


def _functions(
    program: Program,
    source: sources.Source,
    whole: parallel.Sharding,
    share: parallel.Sharding | None,
    batched: Sequence[str] = (),
) -> tuple[Callable[..., PyTree], Callable[..., tuple[PyTree, jax.Array]], tuple[str, ...]]:
    """(key, values) -> state; (state, examples, key, values) -> (state, terms); and the terms' names."""

    def of(values: dict[str, Any]) -> Program:
        return build.with_values(program, values) if values else program

    @_traced_once
    def init(key: jax.Array, values: dict[str, jax.Array]) -> PyTree:
        return parts(of(values)).init(key)

    @_traced_once
    def named(
        state: PyTree, examples: Batch, key: jax.Array, values: dict[str, jax.Array]
    ) -> tuple[PyTree, dict[str, jax.Array]]:
        run = of(values)
        batch = source.batch(run, examples, key, state.step)
        if share is not None:
            batch = jax.lax.with_sharding_constraint(batch, share)
        return parts(run).step(state, batch, key)

    def step(state: PyTree, examples: Batch, key: jax.Array, values: dict[str, jax.Array]) -> tuple[PyTree, jax.Array]:
        state, info = named(state, examples, key, values)
        return state, jnp.stack([info[name].astype(jnp.float32) for name in names])

    def placed(shapes: PyTree) -> PyTree:
        return jax.tree.map(lambda leaf: leaf.update(sharding=whole), shapes)

    key, values = rng.root(0), {name: jnp.float32(c.value(program.experiment, name)) for name in batched}
    key, values = placed(jax.eval_shape(lambda: (key, values)))
    try:
        state = jax.eval_shape(init, key, values)
        names = tuple(sorted(jax.eval_shape(named, placed(state), placed(source.shapes), key, values)[1]))
    except (jax.errors.ConcretizationTypeError, jax.errors.TracerArrayConversionError) as error:
        raise UserError(
            f"One of {', '.join(batched)} decides what is computed, so its values cannot share a program: compare them "
            "as experiments of their own."
        ) from error
    return init, step, names


# --- what a step costs -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cost:
    """What XLA says of the compiled step of one run; None where the back-end doesn't say."""

    parameters: int
    """Trained numbers; averages, statistics and the optimizer's memory don't count."""
    flops_per_step: float | None
    memory_bytes: int | None
    """Arguments (the state, and the training split that all runs share), results and temporaries at their peak."""
    data_bytes: int


_FLOPS: dict[tuple[Any, ...], float | None] = {}


def cost(engine: Engine) -> Cost:
    """Of one run of the engine's program trained alone on one device, however many of both the engine has.

    XLA counts what one device does with its share of the batch, which would make a step the cheaper, the more devices
    there are. Compiles the step, or takes it from JAX's compilation cache.
    """
    is_group = bool(jax.eval_shape(engine.init, engine.inputs([engine.program.experiment])).step.shape)
    if is_group or engine.where.mesh.size > 1:
        engine = alone(engine.program, jax.local_devices()[:1])
    return _cost(engine)


def _cost(engine: Engine) -> Cost:
    """What each device has to do for a group of one."""
    compiled = _compiled(engine)
    memory = compiled.memory_analysis()
    return Cost(
        parameters=tree.count_named(jax.eval_shape(engine.init, _inputs(engine)), "params"),
        flops_per_step=_flops(compiled) if onednn.choice() == onednn.XLA else _flops_by_xla(engine),
        memory_bytes=memory
        and int(
            memory.argument_size_in_bytes
            + memory.output_size_in_bytes
            + memory.temp_size_in_bytes
            - memory.alias_size_in_bytes
        ),
        data_bytes=engine.source.nbytes,
    )


def _inputs(engine: Engine) -> PyTree:
    return engine.inputs([engine.program.experiment])


def _compiled(engine: Engine) -> jax.stages.Compiled:
    inputs = _inputs(engine)
    state = jax.eval_shape(engine.init, inputs)
    with contextlib.closing(engine.dispatches(inputs, 0, 1)) as dispatches:
        single, examples = next(dispatches)
    # A `Step` is typed by how it is called; this one is jitted.
    return single.lower(state, examples, inputs).compile()  # type: ignore[attr-defined]


def _flops_by_xla(engine: Engine) -> float | None:
    """Of the step with XLA's convolutions, since in foreign ones XLA counts nothing; compiled once for all seeds."""
    experiment = engine.program.experiment
    key = engine.program.model, experiment.examples_per_step, experiment.data
    if key not in _FLOPS:
        with onednn.unused():
            _FLOPS[key] = _flops(_compiled(engine))
    return _FLOPS[key]


def _flops(compiled: jax.stages.Compiled) -> float | None:
    flops = (compiled.cost_analysis() or {}).get("flops")
    return float(flops) if flops and flops > 0 else None


def group_size(program: Program, devices: Sequence[jax.Device] | None = None) -> int:
    """How many runs are trained together: on accelerators as many as their memory holds, on CPU one.

    One run's need is what XLA's memory analysis of its compiled step says, not a guess. On CPU runs go one after
    another, because `vmap`ped convolutions take 4 to 5 times as long per run there.
    """
    devices = jax.devices() if devices is None else devices
    limit = (devices[0].memory_stats() or {}).get("bytes_limit")
    if devices[0].platform == "cpu" or not limit:
        return 1
    need = _cost(together(program, 1, devices=devices[:1]))
    if need.memory_bytes is None:
        return 1
    each = max(need.memory_bytes - need.data_bytes, 1)
    return max(int((MEMORY_SHARE * limit - need.data_bytes) // each), 1) * len(devices)
