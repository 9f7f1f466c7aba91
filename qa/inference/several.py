"""Predictions -> all answers of every example, for questions that may have many, or none."""

from collections.abc import Iterator, Sequence

from qa.decoding.predictions import Predictions
from qa.inference.answers import Answer, Span, listed_spans
from qa.inference.options import AnswerOptions
from qa.inference.words import word_borders


def all_answers_of(predictions: Predictions, contexts: Sequence[str], options: AnswerOptions) -> Iterator[list[Answer]]:
    """Yield the answers of every example, best first: an empty list where there is none.

    Args:
        predictions: of all examples, each candidate weighed against "no answer" alone.
        contexts: of the examples.
        options: how they are answered; of answers that overlap when they have grown to words the better one stays.

    """
    score = options.platt.likelihood(predictions.probability).tolist()
    null = predictions.null_probability.tolist()
    places = list(zip(predictions.start.tolist(), predictions.end.tolist(), strict=True))
    for at, rows in enumerate(predictions.all_answers(options.threshold)):
        context = contexts[at]
        borders = [word_borders(context, *places[row]) if options.align_to_words else places[row] for row in rows]
        kept = listed_spans([Span(0, *border) for border in borders], most=options.top_k, overlap=0.0)
        yield [
            Answer(
                score=score[rows[rank]],
                start=borders[rank][0],
                end=borders[rank][1],
                answer=context[borders[rank][0] : borders[rank][1]],
                no_answer_score=null[at],
                place_score=score[rows[rank]],
            )
            for rank in kept
        ]
