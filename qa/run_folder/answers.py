"""predictions.json and nbest_predictions.json -> what was answered, where, and how surely."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from qa.errors import DataError
from qa.evaluation.mistakes import Given
from qa.run_folder.paths import RunPaths


def what_was_given(answers: Mapping[str, str], paths: RunPaths) -> dict[str, Given]:
    """Join the answers of a run by example id with their places and probabilities, which its n-best file has.

    Raises:
        DataError: that file cannot be read.

    """
    try:
        candidates: dict[str, list[dict[str, Any]]] = json.loads(paths.n_best.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {paths.n_best}, which says where the answers are: {error}") from error
    return {key: _candidate(text, candidates.get(key, [])) for key, text in answers.items()}


def _candidate(text: str, candidates: Sequence[Mapping[str, Any]]) -> Given:
    found = next((one for one in candidates if one["text"] == text), None)
    if found is None:
        return Given(text=text, place=None, probability=None)
    place = None if found["start"] is None else (found["start"], found["end"])
    return Given(text=text, place=place, probability=found["probability"])
