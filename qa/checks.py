"""How settings are checked where they are made."""

import math

from pydantic import ConfigDict

from qa.errors import ConfigError
from qa.files import from_home


def require(condition: bool, setting: str, found: object, wanted: str) -> None:
    """Check a setting.

    Raises:
        ConfigError: naming it, what was found and what was wanted.

    """
    if not condition:
        raise ConfigError(f"{setting.replace('_', '-')} is {found!r}; wanted {wanted}")


def number_of(text: str) -> float | None:
    """Return the number that a text is; None: it is none."""
    try:
        return float(text)
    except ValueError:
        return None


class Settings:
    """A part of the configuration."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    def _require_least(self, prefix: str, **smallest: int) -> None:
        """Check settings that have a smallest value; None is for "not set"."""
        for name, least in smallest.items():
            value = getattr(self, name)
            require(value is None or least <= value < math.inf, prefix + name, value, f"{least} or more")

    def _expand_home(self, *names: str) -> None:
        """Replace `~` at the beginning of paths, which a shell does for words of its own only."""
        for name in names:
            value = getattr(self, name)
            if value is not None and str(value).startswith("~"):
                object.__setattr__(self, name, type(value)(from_home(value)))

    def _require_positive(self, prefix: str, *names: str) -> None:
        for name in names:
            value = getattr(self, name)
            require(value is None or 0 < value < math.inf, prefix + name, value, "more than 0")
