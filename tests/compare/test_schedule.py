"""What is said of a comparison before and while it trains, and what the terminal shows at its end."""

from __future__ import annotations

import itertools
import re
import time
from dataclasses import replace
from pathlib import Path

import harness
import pytest
from handmade import collected, experiment, unit

from gvlab import build, compare, data
from gvlab import config as c
from gvlab.cli import compare as cli
from gvlab.cli import terminal
from gvlab.compare import compiling, loop, schedule
from gvlab.errors import Diverged
from gvlab.train.record import Progress


def plan(experiments: int, seeds: int) -> compare.Plan:
    return compare.Plan(tuple(experiment(f"e{i}") for i in range(experiments)), seeds)


# --- before -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("experiments", "seeds", "words"),
    [
        (2, 3, "3 seeds cannot tell the two experiments apart, whatever they show: the smallest possible p is 0.25; 6"),
        (2, 5, "the smallest possible p is 0.0625; 6 seeds can (--seeds 6)."),
        (2, 2, "2 seeds cannot tell the two experiments apart, whatever they show: there is neither an interval nor a"),
        (2, 1, "1 seed cannot tell the two experiments apart"),
        (
            3,
            6,
            "6 seeds cannot tell 3 experiments apart, whatever they show: the smallest possible p is 0.03125, and 3 ",
        ),
        (3, 6, "3 times that among 3 pairs; 7 seeds can (--seeds 7)."),
    ],
)
def test_too_few_seeds_are_told_before_training(experiments, seeds, words):
    assert words in (schedule.too_few(plan(experiments, seeds)) or "")


@pytest.mark.parametrize(("experiments", "seeds"), [(2, 6), (3, 7), (1, 1), (2, compare.SEEDS)])
def test_nothing_is_said_of_enough_seeds_or_of_one_experiment(experiments, seeds):
    assert schedule.too_few(plan(experiments, seeds)) is None


def test_different_numbers_of_samples_are_told_before_training():
    def program(name: str, **asked):
        return build.program(replace(experiment(name), evaluation=c.Evaluation(**asked)), data.load("digits"))

    programs = {name: program(name, samples=samples) for name, samples in (("a", 500), ("b", 0), ("c", 500))}
    assert loop.of_unequal_samples(programs) == [
        "frechet, kernel and prdc will be made of different numbers of generated examples (500 of a and c and 10000 of "
        "b), which cannot be compared, so the tables will have dashes: give all one number, as by "
        "b.evaluation.samples=500 or in the experiment files."
    ]
    assert loop.of_unequal_samples({name: programs[name] for name in "ac"}) == []
    assert loop.of_unequal_samples({"a": programs["a"], "b": program("b", measures=("restore:half",))}) == []


# --- while ------------------------------------------------------------------------------------------------------------


def test_a_unit_is_numbered_and_the_time_that_is_left_is_said(monkeypatch):
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    units = list(plan(2, 6).units())
    going = schedule.Schedule(len(units), units[1:], compiling=lambda: 0.0)  # one was complete before
    said = []
    for i, one in enumerate(units[1:]):
        said.append(going.title([one]))
        now += 60 if one.name == "e0" else 4
        going.made([one])
        assert i + 1 == len(said)
    assert said[0] == "unit 2 of 12: e0 seed 1"
    assert said[1] == "unit 3 of 12, about 10 min left: e0 seed 2"
    assert said[5] == "unit 7 of 12, about 6 min left: e1 seed 0"  # as long as the others, as far as is known
    assert said[6] == "unit 8 of 12, about 20 s left: e1 seed 1"
    assert said[-1] == "unit 12 of 12, about 4 s left: e1 seed 5"


def test_the_time_that_is_left_does_not_jump_where_an_experiment_begins(monkeypatch):
    """Three experiments, each of which compiles first, the first also what all are measured by; the second is ten times
    as much work."""
    now = compiled = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    work = {"e0": 100.0, "e1": 1000.0, "e2": 100.0}
    units = list(plan(3, 4).units())

    def spend(one, step) -> float:
        return work[one.name] / 10 * step / one.steps

    first = {"e0": 0, "e1": 4, "e2": 8}.values()
    cost = [
        spend(one, one.steps) + 15 + (30 if i in first else 0) + (20 if i == 0 else 0) for i, one in enumerate(units)
    ]
    going = schedule.Schedule(len(units), units, lambda one: work[one.name], lambda: compiled)
    said = []
    for i, one in enumerate(units):
        hear = going.hearing(lambda title: None, [one])
        said.append(going._left())
        if i in first:
            now, compiled = now + 30, compiled + 30
        for step in (1, one.steps // 2, one.steps):
            hear(Progress(step, one.steps, 1.0, {}))
            now += spend(one, one.steps // 2 if step == 1 else one.steps - one.steps // 2 if step < one.steps else 0)
        if i == 0:
            now, compiled = now + 20, compiled + 20
        now += 15
        going.made([one])
    assert said[0] is None
    told, true = said[1:], [sum(cost[i:]) for i in range(1, len(units))]
    assert all(after < before for before, after in itertools.pairwise(told)), told
    assert all(abs(one - other) < 0.05 * other + 3 for one, other in zip(told, true, strict=True)), (told, true)


def test_what_is_compiled_within_another_counts_once(monkeypatch):
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    clock = compiling.Clock()
    for end, seconds in ((3.0, 1.0), (5.0, 1.0), (6.0, 5.0), (9.0, 1.0)):  # the third holds the first two
        now = end
        clock.heard("/jax/core/compile/jaxpr_trace_duration", seconds)
    clock.heard("/jax/compilation_cache/cache_retrieval_time_sec", 5.0)
    assert clock.seconds == 6.0
    now = 12.0
    clock.heard("/jax/core/compile/backend_compile_duration", 2.0)
    assert clock.seconds == 8.0


def test_jax_tells_how_long_it_compiles():
    import jax

    before = compiling.seconds()
    jax.jit(lambda x: x * 3.25 + 1)(2.0)
    assert 0 < compiling.seconds() - before < 60


def test_units_of_one_program_share_its_time(monkeypatch):
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    units = list(plan(1, 8).units())
    going = schedule.Schedule(8, units, compiling=lambda: 0.0)
    assert going.title(units[:4]) == "units 1-4 of 8: e0 seeds 0-3"
    now = 8 * 3600.0
    going.made(units[:4])
    assert going.title(units[4:]) == "units 5-8 of 8, about 8.0 h left: e0 seeds 4-7"


def test_without_a_terminal_a_unit_is_a_line_and_a_long_one_some_more(monkeypatch, capsys):
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    with terminal.listening() as listen:
        hear = listen("unit 1 of 2: a seed 0")
        for step in range(1, 8):
            hear(Progress(step, 7, 10.0, {"loss": 1.0}))
            now += 11
        listen("unit 2 of 2, about 77 s left: b seed 0")
    lines = capsys.readouterr().err.splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", line) for line in lines)
    assert [line[20:] for line in lines] == [
        "unit 1 of 2: a seed 0",
        "unit 1 of 2: a seed 0: step 4/7  10 images/s  loss 1",
        "unit 1 of 2: a seed 0: step 7/7  10 images/s  loss 1",
        "unit 2 of 2, about 77 s left: b seed 0",
    ]


def test_a_comparison_says_it_all_while_it_trains(tmp_path, monkeypatch, capsys):
    """Without training: what makes a unit, and what is made of the units, is replaced."""
    made = []
    asked = compare.Plan(tuple(replace(harness.COMPARED["vae"], name=name) for name in "ab"), 2)
    programs = {one.name: harness.build.program(one, harness.data.load("digits")) for one in asked.experiments}
    monkeypatch.setattr(loop, "programs_of", lambda plan: programs)

    def make(engine, members, root, listen):
        listen()
        made.append(members)

    monkeypatch.setattr(loop.units, "make", make)
    monkeypatch.setattr(loop, "write", lambda plan, root: {"directory": plan.directory})
    with terminal.listening() as listen:
        assert loop.run(asked, tmp_path / "c", listen) == {"directory": str(tmp_path / "c")}
    err = capsys.readouterr().err.splitlines()
    assert err[0].startswith("2 seeds cannot tell the two experiments apart")
    assert err[1].endswith(" unit 1 of 4: a seed 0")
    assert [line[20:].split(",")[0] for line in err[2:]] == ["unit 2 of 4", "unit 3 of 4", "unit 4 of 4"]
    assert all(" left: " in line for line in err[2:])
    assert len(made) == 4
    assert compare.read_plan(tmp_path / "c").directory == str(tmp_path / "c")


# --- at the end -------------------------------------------------------------------------------------------------------

VALUES = {
    **{f"{kind}_pixels": 0.5 for kind in ("precision", "recall", "density", "coverage", "frechet", "kernel")},
    **{"fld_x": 50.0, "kld_x": 1.0, "elbo_nats": -99.0, "d_loss": 1.0},
}


def shown(capsys, full: bool = False, name: str = "vae[lr]", **stamp: str) -> list[str]:
    found = collected(
        *(
            unit(one, seed, {measure: value + seed / 9 for measure, value in VALUES.items()}, **stamp)
            for one in (name, "b")
            for seed in range(6)
        )
    )
    cli._show(compare.Plan((experiment(name), experiment("b")), 6), found, Path("comparisons/x"), full)
    return capsys.readouterr().out.splitlines()


def test_the_terminal_ends_with_verdict_headlines_warnings_and_where_the_rest_is(capsys):
    lines = shown(capsys, warning="balls of nearest neighbours are large")
    assert lines[0].startswith("On fld_x (lower is better), 6 seeds don't tell vae[lr] and b apart")
    assert lines[2].split() == ["measure", "better", "vae[lr]", "b", "told", "apart"]
    table = lines[3 : lines.index("", 3)]
    assert len(table) == 7  # six measures, and where the others are
    assert table[0].split()[:2] == ["fld_x", "lower"]
    assert table[-1] == "All 10 measures: --full, or table.md"
    assert not [line for line in table if "d_loss" in line]
    assert lines[-3:] == [
        "Balls of nearest neighbours are large (10 measures).",
        "Report: comparisons/x/report.html",
        "Tables: comparisons/x/table.md, table.tex, comparison.csv, comparison.json",
    ]


def test_full_prints_every_measure(capsys):
    lines = shown(capsys, full=True)
    assert lines[2].split()[:3] == ["experiment", "measure", "better"]
    rows = [line.split()[:2] for line in lines[3 : lines.index("", 3)]]
    assert rows == [[name, measure] for name in ("vae[lr]", "b") for measure in VALUES]


@pytest.mark.parametrize("name", ["vae[lr]", "[bold]", "[red]x", "a:smile:"])
def test_names_are_shown_as_they_are(name, capsys):
    """Rich would take them for styles, and drop them or raise an error."""
    assert name in shown(capsys, name=name)[2]
    terminal.print_table(["measure", name], [[name, "1"]], left=1)
    assert capsys.readouterr().out.count(name) == 2


def test_a_bar_shows_a_name_as_it_is(monkeypatch):
    import io

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(terminal.sys, "stderr", screen := Terminal())
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("TERM", "xterm")
    with terminal.listening() as listen:
        listen("unit 1 of 2: vae[lr] seed 0")(Progress(1, 1, 10.0, {"loss": 1.0}))
    assert "unit 1 of 2: vae[lr] seed 0" in screen.getvalue()


def test_when_no_run_came_to_its_end_the_failures_are_shown(capsys):
    found = collected(*(unit("a", seed, None, "It broke.") for seed in range(2)))
    with pytest.raises(Diverged):
        cli._show(compare.Plan((experiment("a"),), 2), found, Path("x"), False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "No run of a came to its end."
    assert lines[3].split()[:2] == ["a", "diverged"]
    assert "a, seeds 0 and 1, diverged: It broke." in lines
