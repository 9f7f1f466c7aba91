"""The command that a sweep's file, or its user, has for a run.

A command is a list of words. `${args}` stands for the flags of the run, `${program}` for the sweep's program,
`${interpreter}` for this Python, `${env}` for nothing that is needed here, `${name}` for the run's name, and
`${envvar:NAME}` for an environment variable: W&B's macros, with `${name}` beside them.
"""

import importlib.util
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from qa.config import RunConfig
from qa.errors import SweepError
from qa.experiments.settings import Trial, arguments_of
from qa.presets import parse_config

PROGRAM = "train_qa.py"
"""What runs are, unless a sweep says otherwise."""
_ARGS = {"${args}", "${args_no_boolean_flags}"}
_VARIABLE = re.compile(r"\$\{envvar:(\w+)\}")
_MACRO = re.compile(r"\$\{[^}]*\}")


@dataclass(frozen=True, kw_only=True)
class Command:
    """How a run is started."""

    words: tuple[str, ...]
    program: str

    @property
    def own_arguments(self) -> list[str]:
        """The words after the program: what all runs are told, such as a preset."""
        places = [at for at, word in enumerate(self.words) if word in {"${program}", self.program}]
        after = self.words[places[-1] + 1 :] if places else ()
        return [_expanded(word) for word in after if word not in _ARGS]

    def of(self, trial: Trial, folder: Path, *, resumes: bool) -> list[str]:
        """Return the words that start, or resume, a run in a folder."""
        flags = [*arguments_of(trial.flags), f"--output-dir={folder}", *(["--resume=auto"] if resumes else [])]
        words = self.words if _ARGS & set(self.words) else (*self.words, "${args}")
        known = {"${program}": self.program, "${interpreter}": sys.executable, "${name}": trial.name}
        found: list[str] = []
        for word in words:
            if word in _ARGS:
                found += flags
            elif word != "${env}":  # /usr/bin/env, for the sake of scripts' first lines on other systems
                found.append(_expanded(re.sub(_MACRO, lambda macro: known.get(macro[0], macro[0]), word)))
        return found

    def config_of(self, trial: Trial, folder: Path) -> RunConfig:
        """Return the configuration that a run will have.

        Raises:
            SweepError: flags that no run can have.

        """
        words = [*self.own_arguments, *arguments_of(trial.flags), f"--output-dir={folder}"]
        try:
            return parse_config(words)
        except SystemExit as error:  # said on standard error by the parser of flags
            raise SweepError(f"the run {trial.name} cannot be started with {' '.join(words)}") from error


def page() -> str:
    """Return the path of train_qa.py: in this folder, or where it is installed."""
    if Path(PROGRAM).is_file():
        return PROGRAM
    found = importlib.util.find_spec(PROGRAM.removesuffix(".py"))
    return PROGRAM if found is None or found.origin is None else found.origin


def command_of(words: Sequence[str], program: str) -> Command:
    """Check that a command's program is there, and its macros are known.

    Raises:
        SweepError: naming the word.

    """
    for word in words:
        for macro in _MACRO.findall(word):
            known = {*_ARGS, "${program}", "${interpreter}", "${env}", "${name}"}
            if macro not in known and not _VARIABLE.fullmatch(macro):
                raise SweepError(
                    f"command: found {macro}; wanted one of {', '.join(sorted(known))}, or ${{envvar:NAME}}"
                )
    if any("${program}" in word for word in words) and not Path(program).is_file():
        raise SweepError(f"program: found no file {program!r} in {Path.cwd()}")
    return Command(words=tuple(words), program=program)


def _expanded(word: str) -> str:
    def value(found: re.Match[str]) -> str:
        if found[1] not in os.environ:
            raise SweepError(f"command: the environment has no {found[1]}")
        return os.environ[found[1]]

    return _VARIABLE.sub(value, word)
