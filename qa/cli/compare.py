"""`qa compare`: runs on the same examples, with intervals, tests, slices and learning curves."""

import itertools
from collections.abc import Sequence
from dataclasses import asdict

from qa.cli.display import print_json, print_line, print_table
from qa.cli.experiment_flags import Compare
from qa.experiments.comparison import Comparison, Difference, SystemScores, compare_systems, report_tables
from qa.experiments.finished import read_run, require_single_answers, systems_of
from qa.experiments.statistics import Estimate

_SHOWN_SLICES = 8


def run(arguments: Compare) -> None:
    """Compare and show; draw and send where that is asked for."""
    runs = [read_run(folder) for folder in arguments.runs]
    for one in runs:
        require_single_answers(one)
    systems = systems_of(runs, each=arguments.each)
    comparison = compare_systems(systems, data=arguments.data, split=arguments.split)
    if arguments.plot is not None:
        from qa.experiments.plots import plot_comparison  # noqa: PLC0415  # half a second, for one flag

        plot_comparison(comparison, arguments.plot)
    sent = _send(comparison, arguments.wandb) if arguments.wandb is not None else None
    if arguments.json:
        print_json(asdict(comparison))
        return
    _show(comparison)
    for line in (arguments.plot, sent):
        if line is not None:
            print_line(str(line))


def _send(comparison: Comparison, project: str) -> str:
    from qa.tracking.wandb_tables import send_tables  # noqa: PLC0415  # seconds, for one flag

    name = " / ".join(system.name for system in comparison.systems)
    runs = {system.name: list(system.folders) for system in comparison.systems}
    tables, config = report_tables(comparison), {"examples": comparison.examples, "runs": runs}
    return send_tables(project, name, tables, job_type="compare", config=config)


def _show(comparison: Comparison) -> None:
    left_out = f"; {comparison.left_out} that only some of the runs answered are left out" * bool(comparison.left_out)
    print_line(f"{comparison.examples} examples{left_out}; intervals: 95 %")
    print_table(
        ("recipe", "seeds", "exact (%)", "F1 (%)", "minutes"),
        [
            (one.name, len(one.seeds), _text(one.exact), _text(one.f1), "–" if one.minutes is None else one.minutes)
            for one in comparison.systems
        ],
    )
    for difference in comparison.differences:
        _show_difference(difference)
    _show_curves(comparison.systems)


def _show_difference(one: Difference) -> None:
    print_line(f"\n{one.second} minus {one.first}, in points")
    print_table(
        ("", "exact", "F1"),
        [
            ("over examples (BCa bootstrap)", _text(one.exact, signed=True), _text(one.f1, signed=True)),
            (
                f"over seeds ({'pairs of the same seed' if one.same_seeds else 'Welch'})",
                _text(one.exact_over_seeds, signed=True),
                _text(one.f1_over_seeds, signed=True),
            ),
        ],
    )
    for test in one.mcnemar:
        print_line(
            f"right only with {one.first}: {test.only_first}, only with {one.second}: {test.only_second} "
            f"(McNemar, p {test.p:.2g})"
        )
    if not one.slices:
        return
    print_line(f"largest differences by slice (intervals: 95 % for all {len(one.slices)} together; * without zero)")
    print_table(
        ("slice", "examples", f"F1 of {one.first}", f"of {one.second}", "difference"),
        [
            (s.name, s.examples, s.f1_first, s.f1_second, _text(s.f1, signed=True) + " *" * s.f1.excludes_zero)
            for s in one.slices[:_SHOWN_SLICES]
        ],
    )


def _show_curves(systems: Sequence[SystemScores]) -> None:
    rows = []
    for system in systems:
        for seed, curve in zip(system.seeds, system.curves, strict=True):
            minutes = curve.minutes or itertools.repeat(None)
            points = zip(curve.steps, minutes, curve.values, strict=False)
            shown = [f"{step}{'' if m is None else f' ({m:.1f} min)'}: {value:.1f}" for step, m, value in points]
            rows += [(system.name, seed, ", ".join(shown))] if shown else []
    if rows:
        print_line("\nlearning curves, as step (minutes): F1")
        print_table(("recipe", "seed", "evaluations"), rows)


def _text(estimate: Estimate, *, signed: bool = False) -> str:
    form = "+.2f" if signed else ".2f"
    interval = "" if estimate.low is None else f" [{estimate.low:{form}}, {estimate.high:{form}}]"
    return f"{estimate.mean:{form}}{interval}"
