"""What programs call the columns of a data set, and the parts of an answer, by preference."""

import re
from functools import lru_cache

ID = ("id", "qid", "question_id", "query_id", "qas_id", "example_id", "external_id", "guid", "_id", "_task_hash")
TITLE = ("title", "document_title", "article_title", "doc_title")
CONTEXT = (
    *("context", "passage", "context_text", "passage_text", "paragraph", "paragraph_text", "story_text", "document"),
    *("document_text", "article", "review", "content", "text"),
)
QUESTION = ("question", "query", "question_text", "query_text", "q")
IS_IMPOSSIBLE = ("is_impossible", "impossible", "unanswerable", "is_unanswerable")
ANSWERS = (
    *("detected_answers", "consensus", "answers", "answer", "answer_text", "answers_text", "answer_texts"),
    *("answers_spans", "answer_span", "answer_spans", "answer_responses", "answers_responses"),
)
"""Columns that can hold nothing but answers."""
LABELS = (
    *("label", "labels", "annotation", "annotations", "span", "spans", "entities", "highlights", "gold_answer"),
    *("gold_answers", "reference", "references", "ground_truth", "ground_truths", "target", "targets", "responses"),
)
"""Columns that hold answers if what is in them looks like it."""
STARTS = (
    *("answer_start", "answers_start", "answer_starts", "answers_answer_start", "start", "start_offset", "start_char"),
    *("char_start", "begin", "s", "offset", "answer_begin", "answer_offset", "answer_start_char", "start_index"),
    *("answer_start_index", "answer_start_idx", "answer_start_position", "start_idx", "start_pos", "start_position"),
    *("span_start", "begin_offset", "answer_begin_position", "begin_position"),
)
ENDS = (
    *("answer_end", "answers_end", "answer_ends", "end", "end_offset", "end_char", "char_end", "e", "end_index"),
    *("answer_end_index", "answer_end_idx", "answer_end_position", "end_idx", "end_pos", "end_position", "span_end"),
)
TEXTS = ("text", "answer_text", "texts", "answer", "value", "span", "spans", "string", "span_text")
"""Parts of an answer that is an object: its text."""
STATUSES = ("answer_responses_status", "answers_responses_status")
"""Columns that tell which responses count."""
_KNOWN = frozenset((*STATUSES, *ID, *TITLE, *CONTEXT, *QUESTION, *IS_IMPOSSIBLE, *ANSWERS, *LABELS, *STARTS, *ENDS))
_WORDS = re.compile(
    r"answer|label|span|annotat|response|reference|gold|ground_truth|target|entit|highlight"
    r"|(^|_)ans(_|$)|(^|_)outputs?$|completion|solution"
)
_NO_LABELS = re.compile(
    r"plausible|suggest|status|users?$|agent|score|category|subj_level|_ids?$|^(answer|label)_id|question_subj|answer_end"
)


@lru_cache(maxsize=4096)
def tidy(name: str) -> str:
    """Return a name in lower case with underscores: `Answer Start`, `answerStart` and `answers.start` alike."""
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip().strip("\ufeff").strip())
    return re.sub(r"[\s.\-]+", "_", name).lower()


def known_name(name: str) -> bool:
    """Tell whether a column is read."""
    return tidy(name) in _KNOWN


def looks_like_labels(name: str) -> bool:
    """Tell whether a column's name is one that labels could have."""
    words = tidy(name)
    return bool(_WORDS.search(words)) and not _NO_LABELS.search(words)
