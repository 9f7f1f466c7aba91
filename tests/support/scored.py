"""Predictions with the scores that a test says."""

import numpy as np

from qa.decoding.predictions import Predictions


def predictions(scores, nulls, *, null_possible=True, texts=None):
    """Predictions whose examples have the given n-best scores, best first, and null scores."""
    sizes = [len(row) for row in scores]
    flat = np.array([score for row in scores for score in row], dtype=np.float32)
    made = Predictions(
        ids=[f"q{at}" for at in range(len(scores))],
        bounds=np.cumsum([0, *sizes]),
        text=texts or [f"text {rank}" for size in sizes for rank in range(size)],
        start=np.zeros(len(flat), dtype=np.int64),
        end=np.ones(len(flat), dtype=np.int64),
        start_logit=flat,
        end_logit=np.zeros_like(flat),
        probability=np.zeros(len(flat)),
        counted=np.ones(len(flat), dtype=bool),
        null_logits=np.array([[null, 0.0] for null in nulls], dtype=np.float32),
        null_probability=np.zeros(len(scores)),
        null_possible=null_possible,
    )
    return made.calibrated(temperature=1.0, threshold=0.0)


def softmax(values):
    weights = np.exp(np.array(values) - max(values))
    return weights / weights.sum()
