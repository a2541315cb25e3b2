"""Forgeries of a finished comparison, and the seal of a clever forger: all digests that files alone give, made anew."""

from __future__ import annotations

import itertools
import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness import edit_json
from PIL import Image, PngImagePlugin

from gvlab.compare import identity, units
from gvlab.files import read_json
from gvlab.runs import directory as rundir
from gvlab.runs.curves import read_metrics

Forge = Callable[[Path], object]
LAST = "samples/step-00000020.png"


def reseal(run: Path) -> None:
    """Makes a unit's files agree with each other, as far as files alone tell how."""
    states = [json.loads(line) for line in (run / "states.jsonl").read_text().splitlines()]
    edit_json(run / "evaluation.json", lambda made: made["protocol"].update(state_sha256=states[-1]["sha256"]))
    evaluation = read_json(run / "evaluation.json")
    experiment = rundir.read_config(run)
    sealed = {
        **identity.contents(run, evaluation["measures"]),
        "config_sha256": identity.config_sha256(run),
        "state_sha256": states[-1]["sha256"],
        "timing": units.timing_of(read_metrics(run), experiment.examples_per_step, 1),
    }
    edit_json(run / "unit.json", lambda record: record.update(sealed))


# --- pictures ---------------------------------------------------------------------------------------------------------


def taken_from(other: str, file: str) -> Forge:
    """The other seed's picture, or another one of the unit's own."""
    return lambda run: shutil.copy(run / other, run / file)


def repainted(file: str, **options: Any) -> Forge:
    """The picture saved again with the options, after a pixel was changed by one level if there are none."""

    def forge(run: Path) -> None:
        with Image.open(run / file) as picture:
            again = picture.copy()
        if not options:
            value = again.getpixel((9, 9))
            again.putpixel((9, 9), value - 1 if value else 1)
        again.save(run / file, **options)

    return forge


def invisible(run: Path) -> None:
    """The same colours, and nothing to be seen of them."""
    with Image.open(run / LAST) as picture:
        again = picture.convert("RGB")
    again.putalpha(0)
    again.save(run / LAST)


def animated(run: Path) -> None:
    """A second frame, which a browser would show."""
    with Image.open(run / LAST) as picture:
        frame = picture.copy()
    frame.save(run / LAST, save_all=True, append_images=[Image.new("L", frame.size)])


def text_chunk() -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "the best of all")
    return info


PICTURES: dict[str, tuple[Forge, str]] = {
    "the other seed's samples": (taken_from(f"../seed-1/{LAST}", LAST), LAST),
    "the other seed's reconstructions": (
        taken_from("../seed-1/pictures/reconstructions.png", "pictures/reconstructions.png"),
        "pictures/reconstructions.png",
    ),
    "one picture for another": (
        taken_from("pictures/traversals.png", "pictures/reconstructions.png"),
        "pictures/reconstructions.png",
    ),
    "samples of a step without any": (taken_from(LAST, "samples/step-00000010.png"), "samples/step-00000010.png"),
    "samples after the end": (taken_from(LAST, "samples/step-00000030.png"), "samples/step-00000030.png"),
    "a picture of any name": (taken_from(LAST, "samples/best.png"), "samples/best.png"),
    "a further picture": (taken_from(LAST, "pictures/neighbours.png"), "pictures/neighbours.png"),
    "no samples": (lambda run: (run / LAST).unlink(), LAST),
    "no traversals": (lambda run: (run / "pictures/traversals.png").unlink(), "pictures/traversals.png"),
    "one level of a pixel": (repainted(LAST), LAST),
    "a comment": (repainted(LAST, pnginfo=text_chunk()), LAST),
    "nothing to be seen": (invisible, LAST),
    "a second frame": (animated, LAST),
    "no picture": (lambda run: (run / LAST).write_bytes(b"GIF89a"), LAST),
}


# --- lines ------------------------------------------------------------------------------------------------------------


def lines(file: str, edit: Callable[[list[Any]], object]) -> Forge:
    """The lines of a file after an edit of them as objects, in place; texts among them are written as they are."""

    def forge(run: Path) -> None:
        made = [json.loads(line) for line in (run / file).read_text().splitlines()]
        edit(made)
        (run / file).write_text("".join(one if isinstance(one, str) else json.dumps(one) + "\n" for one in made))

    return forge


def of_step(made: list[Any], step: int) -> Any:
    return next(line for line in made if line["step"] == step)


CURVES: dict[str, Callable[[list[Any]], object]] = {
    "beyond the last step": lambda made: made.append(made[-1] | {"step": 30}),
    "before the first step": lambda made: made.insert(0, made[0] | {"step": 0}),
    "between the steps": lambda made: made.insert(2, made[1] | {"step": 15}),
    "a line less": lambda made: made.remove(of_step(made, 10)),
    "the first line less": lambda made: made.pop(0),
    "the last line less": lambda made: made.pop(),
    "nothing": lambda made: made.clear(),
    "doubled": lambda made: made.append(made[-1]),
    "another order": lambda made: made.reverse(),
    "the last bit": lambda made: made[-1].update(loss=math.nextafter(made[-1]["loss"], 0)),
    "a term more": lambda made: made[-1].update(score=1.0),
    "a term less": lambda made: made[-1].pop("loss"),
    "a step of another type": lambda made: made[-1].update(step=20.0),
    "a rest that was cut off": lambda made: made.append('{"step": 30, "loss": 0.1'),
    "a term twice": lambda made: made.append(json.dumps(made.pop()).replace("{", '{"loss": 0.1, ') + "\n"),
}
STATES: dict[str, Callable[[list[Any]], object]] = {
    "a lone line of a later step": lambda made: (made.clear(), made.append({"step": 9999, "sha256": "a" * 64})),
    "a lone line of a step between": lambda made: (made.clear(), made.append({"step": 15, "sha256": "a" * 64})),
    "a lone line of the last step": lambda made: (made.clear(), made.append({"step": 20, "sha256": "a" * 64})),
    "beyond the last step": lambda made: made.append({"step": 30, "sha256": "a" * 64}),
    "between the steps": lambda made: made.insert(1, {"step": 15, "sha256": "a" * 64}),
    "a line less": lambda made: made.pop(0),
    "the last line less": lambda made: made.pop(),
    "doubled": lambda made: made.append(made[-1]),
    "another order": lambda made: made.reverse(),
    "another digest": lambda made: made[0].update(sha256="a" * 64),
    "another last digest": lambda made: made[-1].update(sha256="a" * 64),
    "exchanged": lambda made: (
        [one.update(sha256=sha256) for one, sha256 in zip(made, [line["sha256"] for line in made][::-1], strict=True)]
    ),
}


# --- records ----------------------------------------------------------------------------------------------------------


def edited(file: str, edit: Callable[[Any], object]) -> tuple[Forge, str]:
    return (lambda run: edit_json(run / file, edit)), file


def measure(**changed: Any) -> tuple[Forge, str]:
    return edited("evaluation.json", lambda made: made["measures"]["elbo_nats"].update(changed))


def stamped(**changed: Any) -> tuple[Forge, str]:
    return edited("evaluation.json", lambda made: made["measures"]["elbo_nats"]["stamp"].update(changed))


def another_seeds_checkpoints(run: Path) -> None:
    shutil.rmtree(run / "checkpoints")
    shutil.copytree(run.parent / "seed-1" / "checkpoints", run / "checkpoints")


RECORDS: dict[str, tuple[Forge, str]] = {
    "a value": measure(value=-1.0),
    "a standard error": measure(standard_error=1e-9),
    "a stamp's step": stamped(step=10),
    "a stamp's examples": stamped(examples=50_000),
    "a measure more": edited(
        "evaluation.json",
        lambda made: (made["measures"].update(fid=made["measures"]["elbo_nats"]), made["made"].append("fid")),
    ),
    "a measure less": edited(
        "evaluation.json", lambda made: (made["measures"].pop("elbo_nats"), made["made"].remove("elbo_nats"))
    ),
    "a measure that was not made": edited("evaluation.json", lambda made: made["made"].pop()),
    "the protocol's step": edited("evaluation.json", lambda made: made["protocol"].update(step=10)),
    "the protocol's seed": edited("evaluation.json", lambda made: made["protocol"].update(seed=1)),
    "the protocol's data": edited("evaluation.json", lambda made: made["protocol"].update(dataset_sha256="a" * 64)),
    "the protocol's samples": edited("evaluation.json", lambda made: made["protocol"]["evaluation"].update(samples=9)),
    "no protocol": edited("evaluation.json", lambda made: made.update(protocol={})),
    "operations": edited("unit.json", lambda made: made["cost"].update(flops_per_step=1.0)),
    "parameters": edited("unit.json", lambda made: made["cost"].update(parameters=1)),
    "its seed": edited("unit.json", lambda made: made.update(seed=1)),
    "its name": edited("unit.json", lambda made: made.update(experiment="gan")),
    "its status": edited("unit.json", lambda made: made.update(status="diverged")),
    "its group": edited("unit.json", lambda made: made.update(group=["vae/seed-0", "vae/seed-1"])),
    "its groups": edited("unit.json", lambda made: made.update(regrouped=[10])),
    "the shape of its data": edited("origin.json", lambda made: made["data"]["shape"].insert(0, 3)),
    "the digest of its data": edited("origin.json", lambda made: made["data"].update(sha256="a" * 64)),
    "whose model it is": edited("origin.json", lambda made: made.update(model="own")),
    "an origin with a field less": edited("origin.json", lambda made: made["data"].pop("labelled")),
    "not ended": edited("status.json", lambda made: made.update(status="running")),
    "ended elsewhere": edited("status.json", lambda made: made.update(step=10)),
    "the configuration": edited("config.json", lambda made: made["evaluation"].update(samples=65)),
    "the other seed's checkpoints": (another_seeds_checkpoints, "checkpoints"),
    "no last checkpoint": ((lambda run: shutil.rmtree(run / "checkpoints" / "20")), "checkpoints"),
    "groups": (
        lines("groups.jsonl", lambda made: made[0].update(group=["vae/seed-0", "vae/seed-1"])),
        "groups.jsonl",
    ),
}

UNITS: dict[str, tuple[Forge, str]] = dict(
    itertools.chain(
        PICTURES.items(),
        ((f"curves: {name}", (lines("metrics.jsonl", edit), "metrics.jsonl")) for name, edit in CURVES.items()),
        ((f"states: {name}", (lines("states.jsonl", edit), "states.jsonl")) for name, edit in STATES.items()),
        ((f"records: {name}", forgery) for name, forgery in RECORDS.items()),
    )
)
"""By name: what changes a unit's directory, and the file that `verify` must name."""


# --- the comparison's own files ---------------------------------------------------------------------------------------


def comparison(edit: Callable[[Any], object]) -> tuple[Forge, str]:
    return (lambda root: edit_json(root / "comparison.json", edit)), "comparison.json"


def text(file: str, old: str, new: str) -> tuple[Forge, str]:
    def forge(root: Path) -> None:
        before = (root / file).read_text()
        assert old in before
        (root / file).write_text(before.replace(old, new, 1))

    return forge, file


FILES: dict[str, tuple[Forge, str]] = {
    "the verdict": comparison(lambda made: made.update(verdict="gan is better.")),
    "the verdict of an older version": comparison(lambda made: made.update(gvlab="0.0.1", verdict="gan is better.")),
    "the verdict of a newer version": comparison(lambda made: made.update(gvlab="99.0", verdict="gan is better.")),
    "an older version": comparison(lambda made: made.update(gvlab="0.0.1")),
    "no version": comparison(lambda made: made.pop("gvlab")),
    "another primary measure": comparison(lambda made: made.update(primary="kernel", gvlab="99.0")),
    "a mean": comparison(lambda made: made["summaries"][0].update(mean=made["summaries"][0]["mean"] * (1 + 1e-6))),
    "a mean of a newer version": comparison(
        lambda made: (made["summaries"][0].update(mean=0.0), made.update(gvlab="99.0"))
    ),
    "a verdict of a pair": comparison(lambda made: (made["pairs"][0].update(verdict="first"), made.update(gvlab="9"))),
    "a value of a unit": comparison(lambda made: made["units"][0]["timing"].update(seconds=1.0)),
    "a seed more": comparison(lambda made: made["seeds"].append(2)),
    "a unit less": comparison(lambda made: made["units"].pop()),
    "a command": comparison(lambda made: made["commands"].update(verify="gvlab verify comparison --fraction 0.1")),
    "a command of another directory": comparison(lambda made: made["commands"].update(verify="gvlab verify other")),
    "a remark": comparison(lambda made: made["remarks"].append("All is well.")),
    "a field more": comparison(lambda made: made.update(note="All is well.")),
    "table.md": text("table.md", "vae", "VAE"),
    "table.tex": text("table.tex", "vae", "VAE"),
    "comparison.csv": text("comparison.csv", "vae", "VAE"),
    "report.html": text("report.html", "<body", "<body hidden"),
    "no table": ((lambda root: (root / "table.md").unlink()), "table.md"),
}
"""By name: what changes a comparison's directory, and the file that `verify` must name."""
