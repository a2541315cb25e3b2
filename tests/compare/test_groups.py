"""Units that are trained together: the random numbers they share, and how many make a group."""

from __future__ import annotations

from dataclasses import replace

import harness
import jax
import numpy as np
import pytest
from harness import COMPARED, call, experiment_file
from looks import found_in, timeless

from gvlab import build, data, evaluate, rng
from gvlab import config as c
from gvlab.compare import groups, units
from gvlab.evaluate import bounds, held_out, latents
from gvlab.runs import directory as rundir
from gvlab.train import engines, loop


@pytest.fixture(autouse=True, scope="module")
def compiled_once():
    with harness.compiled_once():
        yield


# --- common random numbers --------------------------------------------------------------------------------------------


def test_experiments_share_the_batches_and_the_latents_of_a_seed():
    wide = replace(COMPARED["vae"], name="wide", model=replace(COMPARED["vae"].model, network=c.MLP(hidden=(8, 8))))
    grey = replace(COMPARED["vae"], data=c.Data(), name="grey")
    digits = data.load("digits")
    program = {e.name: build.program(e, digits) for e in [*COMPARED.values(), wide, grey]}
    arrays = engines.alone(program["vae"]).data

    def drawn(name: str, seed: int, step: int) -> np.ndarray:
        return np.asarray(program[name].draw(arrays, rng.root(seed), jax.numpy.int32(step)).x)

    for step in (0, 1, 93, 94, 200):  # an epoch has 93 steps
        np.testing.assert_array_equal(drawn("vae", 3, step), drawn("wide", 3, step))
        np.testing.assert_allclose(drawn("grey", 3, step), (drawn("gan", 3, step) + 1) / 2, atol=1e-6)
        assert (drawn("vae", 3, step) != drawn("vae", 4, step)).any()
        assert (drawn("vae", 3, step) != drawn("vae", 3, step + 1)).any()

    # Samples are what the model makes of the prior's latents, and these depend on key and number alone.
    key = rng.stream(rng.root(3), rng.EVALUATE)
    for name in ("vae", "wide", "gan"):
        model = program[name].model

        @jax.jit
        def looked_at(first, batch, key, model=model):
            state, z = model.init(first, batch), model.prior(key, 5)
            return z, model.decode(state, z), model.sample(state, key, 5)

        z, made, samples = looked_at(rng.stream(rng.root(3), rng.INIT), program[name].first_batch(), key)
        np.testing.assert_array_equal(z, program["vae"].model.prior(key, 5))
        np.testing.assert_allclose(samples, made, rtol=1e-5, atol=1e-6)


def test_the_evaluation_of_a_seed_uses_one_key_in_every_experiment(monkeypatch):
    """The keys with which samples are drawn for the distances."""
    keys: dict[tuple[str, int], list] = {}
    monkeypatch.setattr(held_out, "held_out", lambda *args: {})
    monkeypatch.setattr(bounds, "bound", lambda *args: {})
    monkeypatch.setattr(latents, "latents", lambda *args: {})
    root = harness.compared()
    for experiment in COMPARED.values():
        for seed in range(2):
            program = build.program(replace(experiment, seed=seed), data.load("digits"))
            state = loop.restore(program, rundir.path(units.directory(root), program.experiment))
            seen = keys.setdefault((experiment.name, seed), [])

            def sample(state, key, size, of=program.model, seen=seen):
                jax.debug.callback(lambda bits: seen.append(bits.tolist()), jax.random.key_data(key))
                return of.sample(state, key, size)

            evaluate.evaluate(replace(program, model=program.model._replace(sample=sample)), state)
            jax.effects_barrier()
    assert all(keys.values())
    as_sets = {unit: {tuple(bits) for bits in seen} for unit, seen in keys.items()}
    for seed in range(2):
        assert as_sets["vae", seed] == as_sets["gan", seed]
    assert as_sets["vae", 0] != as_sets["vae", 1]


def test_who_is_killed_while_measuring_a_group_goes_on_with_it(tmp_path, monkeypatch):
    """The records say with whom each unit was trained, not with whom it was waiting to be measured."""
    file = experiment_file(tmp_path, COMPARED["vae"])
    args = ("compare", file, "--seeds", 3, "--together", 3, "--out")
    assert call(*args, tmp_path / "undisturbed") == 0

    class Killed(BaseException):
        """Nobody catches it."""

    finish, finished = units.finish, []

    def once(*given):
        if finished:
            raise Killed
        finished.append(finish(*given))
        return finished[0]

    monkeypatch.setattr(units, "finish", once)
    with pytest.raises(Killed):
        call(*args, tmp_path / "killed")
    monkeypatch.setattr(units, "finish", finish)
    assert call(*args, tmp_path / "killed") == 0
    undisturbed, found = (timeless(tmp_path / name) for name in ("undisturbed", "killed"))
    assert found["units"] == undisturbed["units"]
    together = [f"vae/seed-{seed}" for seed in range(3)]
    assert [(unit["group"], unit["regrouped"]) for unit in found["units"]] == [(together, [])] * 3


def test_what_began_in_one_program_goes_on_in_it_and_a_rest_of_one_is_alone(tmp_path):
    file, root = experiment_file(tmp_path, COMPARED["vae"]), tmp_path / "c"
    args = ("compare", file, "--together", 3, "--out", root)
    assert call(*args, "--seeds", 2, "--steps", 20) == 0
    assert call(*args, "--seeds", 3, "--steps", 40) == 0
    assert [(unit["group"], unit["regrouped"]) for unit in found_in(root)["units"]] == [
        *[(["vae/seed-0", "vae/seed-1"], [])] * 2,
        (["vae/seed-2"], []),
    ]
    assert call("verify", root, "--unit", "vae/seed-2") == 0  # the bits of a program for one


def test_a_change_of_groups_is_recorded(tmp_path):
    file, root = experiment_file(tmp_path, COMPARED["vae"]), tmp_path / "c"
    assert call("compare", file, "--seeds", 2, "--steps", 20, "--together", 2, "--out", root) == 0
    assert call("compare", file, "--seeds", 2, "--steps", 40, "--out", root) == 0  # alone from there
    for unit in found_in(root)["units"]:
        assert (unit["group"], unit["regrouped"]) == ([f"vae/seed-{unit['seed']}"], [20])


# --- the sizes of groups ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("runs", "most", "devices", "sizes"),
    [
        (8, 8, 1, [8]),
        (8, 3, 1, [3, 3, 2]),
        (7, 8, 4, [4, 3]),  # 7 don't divide over 4 devices: 4 do, and 3 take one each
        (3, 8, 4, [3]),
        (10, 8, 4, [8, 2]),
        (5, 1, 4, [1] * 5),
    ],
)
def test_groups_use_all_devices(runs, most, devices, sizes):
    assert list(groups._sizes(runs, most, devices)) == sizes
