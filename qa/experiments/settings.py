"""Which settings a sweep tries, and what the runs of each are called."""

import hashlib
import itertools
import json
import math
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from qa.experiments.sweep_file import SEED, Parameter, Sweep, Value, rounded

Setting = Mapping[str, Value]
"""Values of what is varied, by flag."""
_LONGEST_NAME = 100
_HASH = 8


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One run of a sweep."""

    name: str
    """Of its folder: readable, and another one if any flag is another."""
    setting: Setting
    seed: int | None
    flags: Mapping[str, Value]
    """All, the seed included."""


def grid(sweep: Sweep) -> Iterator[Setting]:
    """Yield all combinations, the last parameter changing fastest."""
    names, parameters = list(sweep.varied), sweep.varied.values()
    for values in itertools.product(*(one.choices for one in parameters)):
        yield dict(zip(names, values, strict=True))


def drawn(sweep: Sweep, seed: int) -> Iterator[Setting]:
    """Yield random settings without end; each depends on the seed and its place alone."""
    for place in itertools.count():
        source = random.Random(f"{seed}/{place}")
        yield {name: _draw(one, source) for name, one in sweep.varied.items()}


def _draw(parameter: Parameter, source: random.Random) -> Value:
    if not parameter.is_range:
        return source.choices(parameter.choices, parameter.probabilities)[0]
    low, high = parameter.min, parameter.max
    assert low is not None
    assert high is not None
    if parameter.is_logarithmic:
        return rounded(parameter, math.exp(source.uniform(math.log(low), math.log(high))))
    if parameter.is_whole and parameter.q is None:
        return source.randint(int(low), int(high))
    return rounded(parameter, source.uniform(low, high))


def trials_of(sweep: Sweep, setting: Setting, words: Sequence[str]) -> list[Trial]:
    """Return the runs of a setting, one for each seed.

    Args:
        sweep: what the setting is of.
        setting: values of what is varied.
        words: of the command, which also make a run what it is.

    """
    return [trial_of(setting, sweep.flags_of(setting), words, seed=seed) for seed in sweep.seeds]


def trial_of(setting: Setting, flags: Mapping[str, Value], words: Sequence[str], *, seed: int | None = None) -> Trial:
    """Return a run with a name: readable, and another one if any flag or word is another.

    Args:
        setting: what the name tells.
        flags: of the run, the seed aside.
        words: of the command, which also make a run what it is.
        seed: of the run; None: the one that runs have anyway.

    """
    seeded = {SEED: seed} if seed is not None else {}
    every = {**flags, **seeded}
    digest = hashlib.sha256(json.dumps([every, *words], sort_keys=True, default=str).encode()).hexdigest()[:_HASH]
    return Trial(name=f"{_slug({**setting, **seeded})}-{digest}", setting=setting, seed=seed, flags=every)


def setting_name(setting: Setting) -> str:
    """Return a setting in words: the last part of each flag, and its value."""
    return ", ".join(f"{name.rpartition('.')[2]}={_text(value)}" for name, value in setting.items()) or "as given"


def arguments_of(flags: Mapping[str, Value]) -> list[str]:
    """Return flags as words of a command line."""
    return [word for name, value in flags.items() for word in _words(name, value)]


def _words(name: str, value: Value) -> list[str]:
    if isinstance(value, bool):
        section, dot, switch = name.rpartition(".")
        return [f"--{section}{dot}{'' if value else 'no-'}{switch}"]
    if isinstance(value, list):
        return [f"--{name}", *map(_text, value)]
    return [f"--{name}={_text(value)}"]


def _text(value: Value) -> str:
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)


def _slug(setting: Setting) -> str:
    return re.sub(r"[^\w.=,+-]+", "_", setting_name(setting).replace(", ", ","))[:_LONGEST_NAME].lstrip(".-")
