"""What is wrong with a body, in plain words and without repeating it: it may be large, or no Unicode."""

from collections.abc import Mapping, Sequence
from typing import Any

_WORDS = {
    "missing": "is missing",
    "extra_forbidden": "is not a field of this request",
    "string_too_short": "is empty",
    "string_too_long": "is too long; wanted at most {max_length:,} characters",
    "string_type": "is no text",
    "too_short": "is empty; wanted at least {min_length}",
    "too_long": "has too many entries; wanted at most {max_length}",
    "list_type": "is no list",
    "int_type": "is no whole number",
    "int_from_float": "is no whole number",
    "bool_type": "is neither true nor false",
    "greater_than_equal": "is too small; wanted at least {ge}",
    "less_than_equal": "is too large; wanted at most {le}",
    "model_type": "is no object with the fields of a question",
    "model_attributes_type": "is no object with the fields of a question",
    "dict_type": "is no object",
    "value_error": "{error}",
}
_KINDS = {"one", "many", "plain", "known"}  # of a body, and of a passage: names that no field has
_SHOWN = 5  # problems
_LONGEST = 40  # characters of a name


def describe(errors: Sequence[Mapping[str, Any]]) -> str:
    """Turn pydantic's errors into a sentence of ASCII characters."""
    found = "; ".join(_one(error) for error in errors[:_SHOWN])
    return found.encode("ascii", "backslashreplace").decode("ascii")


def _one(error: Mapping[str, Any]) -> str:
    if error["type"] == "json_invalid":
        return f"the body is no JSON: {error['ctx']['error']} at character {error['loc'][-1]}"
    said = _WORDS.get(error["type"], error["msg"][:1].lower() + error["msg"][1:])
    return f"{_place(error['loc'])} {said.format(**error.get('ctx', {}))}"


def _place(location: Sequence[str | int]) -> str:
    """Return the field as a client writes it, such as `inputs[2].context`."""
    named = ""
    for part in location[1:]:
        if part not in _KINDS:
            named += f"[{part}]" if isinstance(part, int) else f".{part[:_LONGEST]}"
    return named.removeprefix(".") or "the body"
