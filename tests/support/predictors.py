"""A tiny reader's folder, and what is asked of it."""

import itertools
import json
import shutil
from dataclasses import asdict, replace

import torch

from qa.inference.predictor import Predictor
from qa.modeling.saving import save_reader
from qa.modeling.settings import DEFAULT_SETTINGS, SETTINGS_FILE
from tests.support import tiny
from tests.support.conditional import conditional_model, pair_scores

CONTEXT = "The Amazon carries 209,000 cubic metres of water a second. Francisco de Orellana named it in 1541."


QUESTION = "Who named the Amazon?"


KEYS = {"score", "start", "end", "answer", "no_answer_score", "place_score"}


SETTINGS = replace(DEFAULT_SETTINGS, max_length=96, doc_stride=24, max_question_length=24, null_possible=True)


FINDS_ALL = replace(SETTINGS, head="tokens", answers="all", no_answer_threshold=50.0)
"""Of a reader of tokens that was trained to find all answers, and takes most spans for one."""


def saved(folder, family="bert", own=SETTINGS, **values):
    tiny.save_reader(folder, family, **values)
    if own is not None:
        (folder / SETTINGS_FILE).write_text(json.dumps(asdict(own)))
    return folder


def saved_conditional(folder):
    """The folder of a reader whose ends depend on their starts."""
    model = conditional_model()
    save_reader(folder, model, model.state_dict(), tiny.tokenizer(), replace(SETTINGS, head="conditional"))
    return folder


def finding_all(reader, folder):
    """A copy of a reader's folder, with the settings of one that finds all answers."""
    shutil.copytree(reader, folder)
    (folder / SETTINGS_FILE).write_text(json.dumps(asdict(FINDS_ALL)))
    return folder


def byte_level_predictor(folder):
    """A reader whose tokens are bytes of NFC text, so that tokens end anywhere, also inside a sign."""
    return Predictor.from_pretrained(saved(folder, "modernbert", DEFAULT_SETTINGS), device="cpu")


def with_settings(predictor, **changes):
    return Predictor(replace(predictor.reader, settings=replace(predictor.settings, **changes)))


def rows(count):
    return [dict(row) for row in tiny.sample_rows("validation")[:count]]


def pairs(count):
    return [{"question": row["question"], "context": row["context"]} for row in rows(count)]


def all_spans(predictor, question, contexts, longest):
    """Every span of every passage that fits one window, by brute force: log odds, passage, text."""
    known = tiny.tokenizer()
    found = []
    for passage, context in enumerate(contexts):
        encoded = known(question, context, return_tensors="pt", return_offsets_mapping=True)
        offsets = encoded.pop("offset_mapping")[0].tolist()
        inside = [at for at, sequence in enumerate(encoded.sequence_ids()) if sequence == 1]
        with torch.inference_mode():
            output = predictor.reader.model(**encoded)
        scores = pair_scores(output, [at in inside for at in range(len(offsets))], 0)
        found += [
            (scores[first, last] - scores[0, 0], passage, context[offsets[first][0] : offsets[last][1]])
            for first, last in itertools.combinations_with_replacement(inside, 2)
            if last - first < longest
        ]
    return sorted(found, reverse=True)


def as_texts(results):
    assert isinstance(results, list)
    return [(result["answer"], result["start"], result["end"]) for result in results]
