"""Rows as the metric objects take them."""


def as_rows(texts, references, null_odds=None):
    ids = texts if null_odds is None else null_odds
    more = {} if null_odds is None else {i: {"no_answer_probability": odds} for i, odds in null_odds.items()}
    predictions = [{"id": i, "prediction_text": texts[i], **more.get(i, {})} for i in ids]
    rows = [{"id": i, "answers": {"text": a, "answer_start": [0] * len(a)}} for i, a in references.items()]
    return {"predictions": predictions, "references": rows}
