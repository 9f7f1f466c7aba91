"""What a call logs of its inputs: what of them the reader does not know, or does not read."""

import logging
from collections.abc import Sequence

import numpy as np

from qa.features.unknown import unknown_tokens
from qa.features.windows import Encoder, Features
from qa.inference.inputs import Row
from qa.inference.options import AnswerOptions

_NAMED = 3  # inputs that a warning names
_LOG = logging.getLogger(__name__)


def report_unknown_tokens(features: Features, *, first: bool) -> None:
    """Log that the tokenizer does not know the first texts of a call, which say enough of all."""
    warning = unknown_tokens(features).warning if first else None
    if warning is not None:
        _LOG.warning("%s", warning)


def report_cut_questions(
    rows: Sequence[Row], ids: Sequence[str], features: Features, encoder: Encoder, options: AnswerOptions
) -> None:
    """Log which questions are longer than what is read of them: their end may say what is asked."""
    read = options.features.max_question_length
    full = np.flatnonzero(features.question_ids.lengths == read).tolist()
    if not full:
        return
    encodings = encoder.backend.encode_batch([rows[at]["question"] for at in full], add_special_tokens=False)
    cut = [(ids[at], len(encoding)) for at, encoding in zip(full, encodings, strict=True) if len(encoding) > read]
    if cut:
        named = ", ".join(f"{name} has {tokens} tokens" for name, tokens in cut[:_NAMED])
        _LOG.warning(
            "%d questions are cut to their first %d tokens (windows have %d): %s",
            *(len(cut), read, options.features.max_length, named),
        )
