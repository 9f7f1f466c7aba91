"""Settings that depend on what was found before: Optuna's tree-structured Parzen estimator."""

from collections.abc import Sequence
from typing import Any

import optuna

from qa.experiments.settings import Setting
from qa.experiments.sweep_file import Parameter, Sweep, Value, rounded

Found = tuple[Setting, float | None]
"""A setting and its score; None for one whose runs have failed."""


def propose(sweep: Sweep, found: Sequence[Found], seed: int) -> Setting:
    """Return the setting to try after these; the same for the same ones, so that nothing has to be stored."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    goal = sweep.metric.goal if sweep.metric is not None else "maximize"
    study = optuna.create_study(direction=goal, sampler=optuna.samplers.TPESampler(seed=seed + len(found)))
    space = {name: _distribution(one) for name, one in sweep.varied.items()}
    for setting, value in found:
        params = {name: _encoded(sweep.varied[name], setting[name]) for name in space}
        study.add_trial(_trial(params, space, value))
    asked = study.ask(space)
    return {name: _decoded(one, float(asked.params[name])) for name, one in sweep.varied.items()}


def _trial(params: dict[str, Any], space: dict[str, Any], value: float | None) -> optuna.trial.FrozenTrial:
    state = optuna.trial.TrialState.FAIL if value is None else optuna.trial.TrialState.COMPLETE
    return optuna.trial.create_trial(params=params, distributions=space, value=value, state=state)


def _distribution(parameter: Parameter) -> optuna.distributions.BaseDistribution:
    if not parameter.is_range:
        return optuna.distributions.CategoricalDistribution(range(len(parameter.choices)))
    low, high = parameter.min, parameter.max
    assert low is not None
    assert high is not None
    if parameter.is_whole:
        step = int(parameter.q or 1)
        return optuna.distributions.IntDistribution(int(low), int(high), step=step)
    step_of = None if parameter.is_logarithmic else parameter.q
    return optuna.distributions.FloatDistribution(low, high, log=parameter.is_logarithmic, step=step_of)


def _encoded(parameter: Parameter, value: Value) -> Any:  # noqa: ANN401  # a number or a place, as Optuna has it
    return value if parameter.is_range else parameter.choices.index(value)


def _decoded(parameter: Parameter, value: float) -> Value:
    return rounded(parameter, value) if parameter.is_range else parameter.choices[int(value)]
