"""How settings are checked where they are made, and named where they are told."""

import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

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
    """Return the number that a text spells; None: it spells none."""
    try:
        return float(text)
    except ValueError:
        return None


def weighted_sources(setting: str, sources: Iterable[str]) -> list[tuple[str, float]]:
    """Return sources with their weights, which follow a star: 1 where there is none.

    Raises:
        ConfigError: a weight that is not above 0.

    """
    found = []
    for given in sources:
        source, star, weight = given.rpartition("*")
        value = number_of(weight) if star else 1.0
        require(value is not None and 0 < value < math.inf, setting, given, "a weight above 0 after *")
        found.append((source if star else given, value or 0.0))
    return found


class NamedSource(NamedTuple):
    """Where a named set is."""

    source: str
    language: str | None
    """Code of its language; None: none is said."""


def named_sources(setting: str, sources: Iterable[str]) -> dict[str, NamedSource]:
    """Return sources by their names, which stand before an equals sign, as in own=dev.json or own:zh=dev.json.

    Raises:
        ConfigError: a name that is missing, there twice, or not of letters, digits, - and _; an empty language.

    """
    found: dict[str, NamedSource] = {}
    for given in sources:
        named, _, source = given.partition("=")
        name, colon, language = named.partition(":")
        is_name = re.fullmatch(r"[\w-]+", name) is not None and bool(language) == bool(colon)
        wanted = "name=source or name:language=source, each name once, of letters, digits, - and _"
        require(is_name and bool(source) and name not in found, setting, given, wanted)
        found[name] = NamedSource(source, language or None)
    return found


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


def flat_values(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Name nested values `outer/inner`; what is not a plain value becomes JSON text, since trackers take no other."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= flat_values(value, f"{prefix}{key}/")
        else:
            plain = isinstance(value, (str, int, float, bool))
            flat[f"{prefix}{key}"] = value if plain else json.dumps(value, default=str)
    return flat
