"""The classic recipe, written plainly from its published method: opponent of the benchmarks and oracle of the tests.

The question-answering notebook and the no-Trainer script of the transformers examples share the features, the double
loop over the 20 best starts and ends, and the official scores (Rajpurkar et al., 2016 and 2018). They differ in the
padding of training batches: to the full window (notebook), or to the longest of a batch in random order (script).
Known bugs of theirs that change answers are not repeated.
"""

import collections
import re
import string

import numpy as np
import torch
from torch.utils.data import DataLoader

# --- features ---------------------------------------------------------------------------------------------------------


def features(rows, tokenizer, *, max_length=384, doc_stride=128, pad=False, at_once=1000):
    """A list of dicts, one a window: model inputs, offsets (None outside the context), example and labels."""
    found = []
    for begin in range(0, len(rows["question"]), at_once):
        part = {name: column[begin : begin + at_once] for name, column in rows.items()}
        found.extend(_features_of(part, begin, tokenizer, max_length, doc_stride, pad=pad))
    return found


def _features_of(rows, first_row, tokenizer, max_length, doc_stride, *, pad):
    encoded = tokenizer(
        [question.lstrip() for question in rows["question"]],
        rows["context"],
        truncation="only_second",
        max_length=max_length,
        stride=doc_stride,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
        padding="max_length" if pad else False,
    )
    for at, row in enumerate(encoded["overflow_to_sample_mapping"]):
        ids, offsets, sequence = encoded["input_ids"][at], encoded["offset_mapping"][at], encoded.sequence_ids(at)
        null = ids.index(tokenizer.cls_token_id)
        first, last = _label(offsets, sequence, rows["answers"][row], null)
        yield {
            "input_ids": ids,
            "token_type_ids": encoded["token_type_ids"][at],
            "attention_mask": encoded["attention_mask"][at],
            "offsets": [pair if part == 1 else None for pair, part in zip(offsets, sequence, strict=True)],
            "null": null,
            "example": first_row + row,
            "start_positions": first,
            "end_positions": last,
        }


def _label(offsets, sequence, answers, null):
    if not answers["answer_start"]:
        return null, null
    start = answers["answer_start"][0]
    end = start + len(answers["text"][0])
    first = 0
    while sequence[first] != 1:
        first += 1
    last = len(sequence) - 1
    while sequence[last] != 1:
        last -= 1
    if offsets[first][0] > start or offsets[last][1] < end:
        return null, null
    while first < len(offsets) and offsets[first][0] <= start:
        first += 1
    while offsets[last][1] >= end:
        last -= 1
    return first - 1, last + 1


# --- batches, training, evaluation ------------------------------------------------------------------------------------


def loader(windows, tokenizer, *, batch_size, shuffle, labels):
    """Batches padded to their longest window, in random or in the data set's order."""
    names = ["input_ids", "token_type_ids", "attention_mask"]

    def collate(batch):
        padded = tokenizer.pad([{name: window[name] for name in names} for window in batch], return_tensors="pt")
        for name in ["start_positions", "end_positions"] if labels else []:
            padded[name] = torch.tensor([window[name] for window in batch])
        return dict(padded)

    return DataLoader(windows, batch_size=batch_size, shuffle=shuffle, collate_fn=collate)


def optimizer_for(model, learning_rate):
    without_decay = ("bias", "LayerNorm.weight")
    named = list(model.named_parameters())
    groups = [
        {"params": [p for name, p in named if not name.endswith(without_decay)], "weight_decay": 0.01},
        {"params": [p for name, p in named if name.endswith(without_decay)], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=learning_rate)


def linear_schedule(optimizer, *, warmup, total):
    def factor(step):
        return step / max(1, warmup) if step < warmup else max(0.0, (total - step) / max(1, total - warmup))

    return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)


def train_step(model, optimizer, scheduler, batch, *, max_norm):
    """The notebook's Trainer clips the gradient at 1, the script (None) does not."""
    model.train()
    loss = model(**batch).loss
    loss.backward()
    if max_norm is not None:
        torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    optimizer.step()
    scheduler.step()
    optimizer.zero_grad()
    return loss.detach()


@torch.no_grad()
def logits_of(model, windows, tokenizer, *, batch_size=8):
    """All start and end logits, each padded with −100 to the longest batch of the data set."""
    model.eval()
    starts, ends = [], []
    for batch in loader(windows, tokenizer, batch_size=batch_size, shuffle=False, labels=False):
        output = model(**{name: value.to(model.device) for name, value in batch.items()})
        starts.append(output.start_logits.float().cpu().numpy())
        ends.append(output.end_logits.float().cpu().numpy())
    return whole_logits(starts, len(windows)), whole_logits(ends, len(windows))


def whole_logits(batches, count):
    whole = np.full((count, max(batch.shape[1] for batch in batches)), -100, dtype=np.float64)
    at = 0
    for batch in batches:
        whole[at : at + len(batch), : batch.shape[1]] = batch
        at += len(batch)
    return whole


# --- logits to answers ------------------------------------------------------------------------------------------------


def answers(rows, windows, starts, ends, *, n_best=20, max_answer_tokens=30, null_possible=True):
    """The best text of every example, its null odds (the null score less the best span's), and its n-best records."""
    windows_of = collections.defaultdict(list)
    for at, window in enumerate(windows):
        windows_of[window["example"]].append(at)
    texts, odds, records = [], [], []
    for example, row in enumerate(rows):
        null, candidates = None, []
        for at in windows_of[example]:
            offsets, place = windows[at]["offsets"], windows[at]["null"]  # two reads of a row, as in the notebook
            score = starts[at][place] + ends[at][place]
            if null is None or score < null["score"]:
                logits = {"start_logit": starts[at][place], "end_logit": ends[at][place]}
                null = {"start": 0, "end": 0, "score": score, **logits}
            candidates += _candidates(offsets, starts[at], ends[at], n_best, max_answer_tokens)
        spans = sorted(candidates, key=lambda candidate: candidate["score"], reverse=True)[:n_best]
        texts.append(row["context"][spans[0]["start"] : spans[0]["end"]] if spans else "")
        odds.append(null["score"] - spans[0]["score"] if spans else float("inf"))
        both = [*spans, null] if null_possible else spans
        best = sorted(both, key=lambda candidate: candidate["score"], reverse=True)[:n_best]
        records.append(_records(best, row["context"]))
    return texts, odds, records


def _candidates(offsets, start_logits, end_logits, n_best, max_answer_tokens):
    found = []
    start_indexes = np.argsort(start_logits)[-1 : -n_best - 1 : -1].tolist()
    end_indexes = np.argsort(end_logits)[-1 : -n_best - 1 : -1].tolist()
    for start in start_indexes:
        for end in end_indexes:
            if start >= len(offsets) or end >= len(offsets) or offsets[start] is None or offsets[end] is None:
                continue
            if end < start or end - start + 1 > max_answer_tokens:
                continue
            found.append(
                {
                    "start": offsets[start][0],
                    "end": offsets[end][1],
                    "score": start_logits[start] + end_logits[end],
                    "start_logit": start_logits[start],
                    "end_logit": end_logits[end],
                }
            )
    return found


def _records(best, context):
    if not best:
        return []
    scores = np.array([candidate["score"] for candidate in best])
    weights = np.exp(scores - scores.max())
    for candidate, probability in zip(best, weights / weights.sum(), strict=True):
        candidate["text"] = context[candidate["start"] : candidate["end"]]
        candidate["probability"] = probability
    return [
        {name: float(value) if isinstance(value, np.floating) else value for name, value in candidate.items()}
        for candidate in best
    ]


# --- official scores --------------------------------------------------------------------------------------------------


def normalize(text):
    text = text.lower()
    punctuation = set(string.punctuation)
    text = "".join(character for character in text if character not in punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def f1_of(prediction, reference, *, empty_counts):
    predicted, wanted = normalize(prediction).split(), normalize(reference).split()
    if empty_counts and (not predicted or not wanted):
        return float(predicted == wanted)
    same = sum((collections.Counter(predicted) & collections.Counter(wanted)).values())
    if same == 0:
        return 0.0
    precision, recall = same / len(predicted), same / len(wanted)
    return 2 * precision * recall / (precision + recall)


def v1_scores(texts, references):
    """Exact match and F1 in percent; `references` are lists of texts."""
    exact = f1 = 0.0
    for text, wanted in zip(texts, references, strict=True):
        exact += max(float(normalize(text) == normalize(reference)) for reference in wanted)
        f1 += max(f1_of(text, reference, empty_counts=False) for reference in wanted)
    return {"exact_match": 100.0 * exact / len(texts), "f1": 100.0 * f1 / len(texts)}


def v2_scores(texts, references, odds, threshold=0.0):
    """Scores at the threshold, and the best of all thresholds."""
    exact, f1 = [], []
    for text, listed in zip(texts, references, strict=True):
        wanted = [reference for reference in listed if normalize(reference)] or [""]
        exact.append(max(int(normalize(text) == normalize(reference)) for reference in wanted))
        f1.append(max(f1_of(text, reference, empty_counts=True) for reference in wanted))
    scores = {"total": len(texts)}
    for name, raw in (("exact", exact), ("f1", f1)):
        at_threshold = [
            float(not listed) if odd > threshold else value
            for value, odd, listed in zip(raw, odds, references, strict=True)
        ]
        scores[name] = 100.0 * sum(at_threshold) / len(texts)
        scores[f"best_{name}"], scores[f"best_{name}_thresh"] = _best(raw, texts, odds, references)
    return scores


def _best(raw, texts, odds, references):
    current = best = sum(1 for listed in references if not listed)
    best_at = 0.0
    for at in sorted(range(len(texts)), key=lambda at: odds[at]):
        wrong = -1 if texts[at] else 0
        current += raw[at] if references[at] else wrong
        if current > best:
            best, best_at = current, odds[at]
    return 100.0 * best / len(texts), best_at


# --- answering --------------------------------------------------------------------------------------------------------


@torch.inference_mode()
def loop(model, tokenizer, asked, *, max_length=384):
    """Texts of one answer each: tokenise, forward, arg-max; one window an input, no n-best, no probabilities.

    About as fast as the removed pipeline, whose batches are slower than this on a CPU.
    """
    texts = []
    for one in asked:
        encoded = tokenizer(
            one["question"], one["context"], truncation="only_second", max_length=max_length,
            return_offsets_mapping=True, return_tensors="pt",
        )  # fmt: skip
        offsets = encoded.pop("offset_mapping")[0].tolist()
        output = model(**encoded.to(model.device))
        first, last = int(output.start_logits.argmax()), int(output.end_logits.argmax())
        texts.append(one["context"][offsets[first][0] : offsets[last][1]])
    return texts
