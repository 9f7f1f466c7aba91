"""A sweep file -> what is varied. The format is W&B's, so that its agents run the same file.

Keys: `method` (grid, random, bayes), `parameters`, `metric`, `run_cap`, `program` and `command`, as W&B documents them.
Beyond W&B's there is `variants`: named sets of flags that are varied together, which `qa sweep` crosses with the
parameters and W&B's agents do not know. The parameter `seed` is crossed with all others: seeds make a mean.
"""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError

from qa.checks import flat_values
from qa.config import RunConfig, config_values
from qa.errors import SweepError

Value = bool | int | float | str | None | list[Any]
Method = Literal["grid", "random", "bayes"]
Distribution = Literal[
    "constant", "categorical", "uniform", "int_uniform", "q_uniform", "log_uniform_values", "q_log_uniform_values"
]
SEED, VARIANT = "seed", "variant"
OWN_FLAGS = {"output-dir", "resume"}
"""Flags that `qa sweep` sets itself: in a sweep file they are for W&B's agents."""
_DEFAULT_COMMAND = ("${env}", "${interpreter}", "${program}", "${args}")


@dataclass(frozen=True, kw_only=True)
class Metric:
    """The score that recipes are compared by."""

    name: str
    """Of metrics.json; what W&B has before it (`eval/`, `best/`) does not count."""
    goal: Literal["maximize", "minimize"] = "maximize"

    __pydantic_config__ = ConfigDict(extra="forbid")

    @property
    def key(self) -> str:
        """Name of the score in metrics.json."""
        return self.name.rpartition("/")[2]


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """The values that a flag may have: one, several, or a range."""

    value: Value = None
    values: tuple[Value, ...] | None = None
    probabilities: tuple[float, ...] | None = None
    distribution: Distribution | None = None
    min: float | int | None = None
    max: float | int | None = None
    q: float | int | None = None

    __pydantic_config__ = ConfigDict(extra="forbid")

    def __post_init__(self) -> None:
        if self.values is not None and not self.values:
            raise ValueError("values is empty; wanted one or more")
        if self.probabilities is not None and len(self.probabilities) != len(self.values or ()):
            raise ValueError("probabilities are not as many as values")
        if (self.min is None) != (self.max is None):
            raise ValueError("found one of min and max; wanted both")
        if self.is_range and self.values is not None:
            raise ValueError("found values and a range; wanted one of them")
        if self.min is not None and self.max is not None and not self.min <= self.max:
            raise ValueError(f"min {self.min} is above max {self.max}")
        if self.is_logarithmic and not (self.min or 0) > 0:
            raise ValueError(f"min is {self.min}; wanted more than 0 for a logarithmic range")

    @property
    def is_range(self) -> bool:
        """Whether there are ends, and anything between them may be drawn."""
        return self.min is not None

    @property
    def is_logarithmic(self) -> bool:
        """Whether equal ratios are equally likely."""
        return self.distribution in {"log_uniform_values", "q_log_uniform_values"}

    @property
    def is_whole(self) -> bool:
        """Whether only integers are drawn: where the file says so, or both ends are integers."""
        ends = isinstance(self.min, int) and isinstance(self.max, int)
        return self.distribution == "int_uniform" or (self.distribution is None and ends)

    @property
    def choices(self) -> tuple[Value, ...]:
        """The values of a parameter without a range."""
        return self.values if self.values is not None else (self.value,)


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """What a sweep file says."""

    method: Method
    parameters: Mapping[str, Parameter]
    variants: Mapping[str, Mapping[str, Value]] = field(default_factory=dict)
    metric: Metric | None = None
    run_cap: int | None = None
    """Most runs, seeds counted."""
    program: str = "train_qa.py"
    command: tuple[str, ...] = _DEFAULT_COMMAND
    name: str | None = None
    description: str | None = None
    project: str | None = None
    entity: str | None = None

    __pydantic_config__ = ConfigDict(extra="forbid")

    @property
    def seeds(self) -> tuple[int | None, ...]:
        """Seeds that every setting is run with; None: the one that runs have anyway."""
        given = self.parameters.get(SEED)
        return tuple(given.choices) if given is not None else (None,)  # type: ignore[arg-type]  # checked on reading

    @property
    def varied(self) -> dict[str, Parameter]:
        """What tells settings apart: parameters with more than one value, and the variant, the seed aside."""
        found = {VARIANT: Parameter(values=tuple(self.variants))} if self.variants else {}
        others = {name: one for name, one in self.parameters.items() if name not in {SEED, *OWN_FLAGS}}
        return found | {name: one for name, one in others.items() if one.is_range or len(one.choices) > 1}

    @property
    def fixed(self) -> dict[str, Value]:
        """What all runs have."""
        return {
            name: one.choices[0]
            for name, one in self.parameters.items()
            if name not in {SEED, *OWN_FLAGS, *self.varied}
        }

    @property
    def most_settings(self) -> int | None:
        """Settings that the cap on runs allows."""
        return None if self.run_cap is None else self.run_cap // len(self.seeds)

    def flags_of(self, setting: Mapping[str, Value]) -> dict[str, Value]:
        """Return all flags of a setting, those of its variant included."""
        own = {name: value for name, value in setting.items() if name != VARIANT}
        return {**self.fixed, **own, **self.variants.get(str(setting.get(VARIANT)), {})}


def load_sweep(path: Path) -> Sweep:
    """Read a sweep file.

    Raises:
        SweepError: it cannot be read, or says what no sweep can do; the message names the key.

    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SweepError(f"cannot read {path} as YAML: {error}") from error
    if not isinstance(values, dict):
        raise SweepError(f"{path}: found {values!r:.80}; wanted method and parameters, as W&B's sweep files have them")
    try:
        sweep: Sweep = TypeAdapter(Sweep).validate_python(_with_flag_names(values))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise SweepError(f"{path}: {where}: {first['msg']}; found {first['input']!r:.80}") from error
    for problem in _problems(sweep):
        raise SweepError(f"{path}: {problem}")
    return sweep


def _with_flag_names(values: Mapping[str, Any]) -> dict[str, Any]:
    """Write the names of flags as the command line shows them: with hyphens."""
    renamed = dict(values)
    if isinstance(values.get("parameters"), dict):
        renamed["parameters"] = _hyphened(values["parameters"])
    if isinstance(values.get("variants"), dict):
        variants = values["variants"].items()
        renamed["variants"] = {name: _hyphened(flags or {}) for name, flags in variants}
    return renamed


def _hyphened(flags: Any) -> Any:  # noqa: ANN401  # what YAML holds, not yet checked
    return {str(name).replace("_", "-"): value for name, value in flags.items()} if isinstance(flags, dict) else flags


def _problems(sweep: Sweep) -> Iterator[str]:
    known = {name.replace("/", ".").replace("_", "-") for name in flat_values(config_values(RunConfig()))}
    named = [*sweep.parameters, *(flag for flags in sweep.variants.values() for flag in flags)]
    for name in named:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            yield f"no flag {name!r} of {sweep.program}{f'; did you mean {near[0]!r}?' if near else ''}"
    for variant, flags in sweep.variants.items():
        for name in flags.keys() & {*sweep.parameters, SEED, *OWN_FLAGS}:
            yield f"{name!r} is in the variant {variant!r} and in parameters; wanted it in one of them"
    if SEED in sweep.parameters:
        if sweep.parameters[SEED].is_range or not all(type(seed) is int for seed in sweep.seeds):
            yield "seed: wanted value or values, of integers"
        elif len(set(sweep.seeds)) < len(sweep.seeds):
            yield "seed: a seed is there twice"
    yield from _problems_of_method(sweep)


def _problems_of_method(sweep: Sweep) -> Iterator[str]:
    ranges = [name for name, one in sweep.varied.items() if one.is_range]
    if sweep.method == "grid" and ranges:
        yield f"{ranges[0]!r} has a range, which a grid cannot go through; wanted values, or the method random or bayes"
    if sweep.method != "grid" and sweep.run_cap is None:
        yield f"the method {sweep.method} has no end; wanted run_cap, the most runs"
    if sweep.most_settings == 0:
        yield f"run_cap {sweep.run_cap} is less than one setting takes: {len(sweep.seeds)} seeds"
    if sweep.method == "bayes" and not sweep.varied:
        yield "the method bayes has nothing to vary"


def rounded(parameter: Parameter, value: float) -> float | int:
    """Bring a drawn number to the steps of a range, and to an integer where the range is of integers."""
    assert parameter.min is not None
    assert parameter.max is not None
    if parameter.q is not None:
        value = round(value / parameter.q) * parameter.q
    value = min(max(value, parameter.min), parameter.max)
    whole = parameter.is_whole or (parameter.q is not None and float(parameter.q).is_integer())
    return round(value) if whole else float(f"{value:.12g}")
