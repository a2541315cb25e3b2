"""Adapters: one train step on many devices.

Both take the step of a `Model`, whose contract is (state, batch, key) -> (state, info), and return a function of the
same arguments. Over a mesh the step is written from the global view and knows nothing of devices; under `pmap` the
model must have been made with the same `axis_name`, so that gradients and statistics are averaged over the devices.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from gvlab.types import Batch, PyTree, UserError

Sharding: TypeAlias = NamedSharding
"""What `replicated` and `split` give."""
Devices: TypeAlias = Mesh
"""What `data_mesh` gives."""

AXIS = "data"
"""The name of the mesh axis, and of the `pmap` axis, over which a batch is split."""


def data_mesh(devices: Sequence[jax.Device] | None = None) -> Mesh:
    """A one-dimensional mesh over the devices (all of them by default), whose axis splits the batch."""
    devices = jax.devices() if devices is None else devices
    return Mesh(np.array(devices), (AXIS,), axis_types=(AxisType.Auto,))


def devices_for(batch_size: int) -> list[jax.Device]:
    """As many devices as divide the batch: all of them where they do."""
    devices = jax.devices()
    return devices[: divisor(batch_size, len(devices))]


def divisor(count: int, most: int) -> int:
    """The largest number up to `most` that divides `count`."""
    return max(n for n in range(1, most + 1) if count % n == 0)


def replicated(mesh: Mesh) -> NamedSharding:
    """Every device holds the whole array."""
    return NamedSharding(mesh, PartitionSpec())


def split(mesh: Mesh) -> NamedSharding:
    """Each device holds its share of the leading axis."""
    return NamedSharding(mesh, PartitionSpec(AXIS))


def split_if_even(mesh: Mesh, count: int) -> NamedSharding:
    """Each device holds its share of a leading axis of `count`; where that does not divide, each holds all of it."""
    return replicated(mesh) if count % mesh.size else split(mesh)


def behind(sharding: NamedSharding) -> NamedSharding:
    """The same of arrays with one axis more in front, which is not split."""
    return NamedSharding(sharding.mesh, PartitionSpec(None, *sharding.spec))


def check_divides(batch_size: int, devices: int) -> None:
    """Raises UserError unless each device gets the same number of examples."""
    if batch_size % devices:
        raise UserError(
            f"The batch size is {batch_size}, which does not divide over {devices} devices: use a multiple of it."
        )


def over_mesh(train_step: Callable, mesh: Mesh) -> Callable:
    """`jax.jit` of the step with replicated state and split batch; the state is donated."""
    whole, share = replicated(mesh), split(mesh)
    return jax.jit(train_step, in_shardings=(whole, share, whole), out_shardings=whole, donate_argnums=0)


def over_pmap(train_step: Callable, devices: Sequence[jax.Device] | None = None) -> Callable:
    """`jax.pmap` of a step made with `axis_name=AXIS`; takes and returns the state of one device.

    Args of the result: a state as `Model.init` gives it or as this function returned it (replicated over the
    devices), the global batch and one key.
    """
    devices = list(jax.devices() if devices is None else devices)
    mesh = data_mesh(devices)
    mapped = jax.pmap(
        train_step, axis_name=AXIS, devices=devices, in_axes=(None, 0, None), out_axes=(None, None), donate_argnums=0
    )

    def step(state: PyTree, batch: Batch, key: jax.Array) -> tuple[PyTree, PyTree]:
        check_divides(len(batch.x), len(devices))
        state = jax.device_put(state, replicated(mesh))  # or the second call, whose state is, would compile again
        shares = jax.tree.map(lambda leaf: leaf.reshape(len(devices), -1, *leaf.shape[1:]), batch)
        return mapped(state, jax.device_put(shares, split(mesh)), key)

    return step


def mean_over(tree: PyTree, axis_name: str | None) -> PyTree:
    """The mean over the devices of `axis_name`; the tree itself without one."""
    return tree if axis_name is None else jax.lax.pmean(tree, axis_name)


def gather(tree: PyTree, axis_name: str | None) -> PyTree:
    """The leaves of all devices of `axis_name`, one after another along the first axis; the tree itself without one."""
    return tree if axis_name is None else jax.lax.all_gather(tree, axis_name, tiled=True)
