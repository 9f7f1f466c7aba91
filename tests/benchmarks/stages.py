"""The table of what is measured."""

import dataclasses
from functools import partial

from tests.benchmarks import batches, inference, memory
from tests.benchmarks import contestants as c
from tests.benchmarks.contest import Stage


def longer(contestant, window):
    return lambda setup: contestant(dataclasses.replace(setup, window=window))


def fewer(contestant, **options):
    """Half as many training steps, for a model that takes three times as long."""
    return lambda setup: contestant(dataclasses.replace(setup, steps=setup.steps // 2), **options)


STAGES = (
    Stage(
        name="feature building",
        opponent="pair calls, offset tuples, loops",
        unit="rows/s",
        bar=3.0,
        ours=c.ours_features,
        theirs=c.theirs_features,
    ),
    Stage(
        name="feature building, ten times the rows",
        opponent="ours, a tenth of the rows",
        unit="rows/s",
        bar=0.9,
        ours=c.ours_features,
        theirs=partial(c.ours_features, part=10),
    ),
    Stage(
        name="collation, one thread",
        opponent="a tokenizer that pads lists of ints (no-Trainer script)",
        unit="features/s",
        bar=10.0,
        ours=batches.ours_collation,
        theirs=batches.theirs_collation,
    ),
    Stage(
        name="batches made ahead of a device",
        opponent="ours, made when they are asked for",
        unit="features/s",
        bar=1.1,
        ours=partial(batches.stepped, ahead=True),
        theirs=partial(batches.stepped, ahead=False),
    ),
    Stage(
        name="training",
        opponent="padding to 384 (notebook)",
        unit="examples/s",
        bar=4.5,
        ours=c.ours_training,
        theirs=partial(c.theirs_training, pad=True),
    ),
    Stage(
        name="training, batches",
        opponent="random order, padding to the longest (no-Trainer script)",
        unit="examples/s",
        bar=3.0,
        ours=c.ours_training,
        theirs=partial(c.theirs_training, pad=False),
    ),
    Stage(
        name="training, model-FLOPs utilisation",
        opponent="matrix products",
        unit="FLOP/s",
        bar=0.6,
        ours=partial(c.ours_training, flops=True),
        theirs=c.theirs_matmul,
    ),
    Stage(
        name="training, model-FLOPs utilisation, DistilBERT-base",
        opponent="matrix products",
        unit="FLOP/s",
        bar=0.6,
        ours=fewer(c.ours_training, flops=True, reader=c.distilbert),
        theirs=c.theirs_matmul,
    ),
    Stage(
        name="evaluation forward",
        opponent="data set's order, batches of 8",
        unit="features/s",
        bar=1.5,
        ours=c.ours_evaluation,
        theirs=partial(c.theirs_evaluation, batch_size=8),
    ),
    Stage(
        name="evaluation forward, batches",
        opponent="data set's order, batches of 16",
        unit="features/s",
        bar=1.5,
        ours=c.ours_evaluation,
        theirs=partial(c.theirs_evaluation, batch_size=16),
    ),
    Stage(
        name="training in bf16",
        opponent="no-Trainer script, in bf16 too",
        unit="examples/s",
        bar=4.5,
        ours=c.ours_training,
        theirs=partial(c.theirs_training, pad=False),
        precision="bf16",
    ),
    Stage(
        name="evaluation forward in bf16",
        opponent="data set's order, batches of 8, in bf16 too",
        unit="features/s",
        bar=1.5,
        ours=c.ours_evaluation,
        theirs=partial(c.theirs_evaluation, batch_size=8),
        precision="bf16",
    ),
    Stage(
        name="decoding + answers",
        opponent="double loop over 20 × 20",
        unit="features/s",
        bar=20.0,
        ours=c.ours_answers,
        theirs=c.theirs_answers,
        turns=5,
    ),
    Stage(
        name="decoding to the n-best file",
        opponent="the same, indented by json",
        unit="features/s",
        bar=8.0,
        ours=partial(c.ours_answers, write=True),
        theirs=partial(c.theirs_answers, write=True),
    ),
    Stage(
        name="metrics",
        opponent="the official scripts' method",
        unit="predictions/s",
        bar=3.0,
        ours=c.ours_scores,
        theirs=c.theirs_scores,
        turns=5,
    ),
    Stage(
        name="evaluation memory at 384",
        opponent="whole logits",
        unit="bytes/feature",
        bar=8.0,
        ours=memory.ours_memory,
        theirs=memory.theirs_memory,
        measures="cost",
    ),
    Stage(
        name="evaluation memory at 512",
        opponent="whole logits",
        unit="bytes/feature",
        bar=8.0,
        ours=longer(memory.ours_memory, 512),
        theirs=longer(memory.theirs_memory, 512),
        measures="cost",
    ),
    Stage(
        name="evaluation memory, 384 over 512",
        opponent="ours at 384",
        unit="bytes/feature",
        bar=0.9,  # constant in the length, up to pages
        ours=longer(memory.ours_memory, 512),
        theirs=memory.ours_memory,
        measures="cost",
    ),
    Stage(
        name="predictor, fp32 PyTorch",
        opponent="one at a time: tokenise, forward, arg-max",
        unit="examples/s",
        bar=1.25,
        ours=partial(inference.ours_asked, backend="torch"),
        theirs=inference.theirs_asked,
    ),
    Stage(
        name="predictor, int8 ONNX",
        opponent="one at a time: tokenise, forward, arg-max",
        unit="examples/s",
        bar=1.8,
        ours=partial(inference.ours_asked, backend="onnx_int8"),
        theirs=inference.theirs_asked,
    ),
    Stage(
        name="qa predict, two processes",
        opponent="ours, one process with all cores",
        unit="examples/s",
        bar=0.9,
        ours=partial(batches.predicted, processes=2),
        theirs=partial(batches.predicted, processes=1),
    ),
    *(
        Stage(
            name=f"{'one question at a time' if how == 'one' else 'questions in a list'}, {named}",
            opponent="the removed pipeline (transformers 5.2.0), fp32",
            unit="questions/s",
            bar=bar,
            ours=partial(inference.ours_one_by_one if how == "one" else inference.ours_asked, backend=backend),
            theirs=partial(inference.theirs_removed, how=how),
            turns=5,
            needs_removed=True,
        )
        for how, backend, named, bar in (
            ("one", "torch", "fp32 PyTorch", 1.15),
            ("one", "onnx", "fp32 ONNX", 1.15),
            ("one", "onnx_int8", "int8 ONNX", 2.0),
            ("list", "torch", "fp32 PyTorch", 1.6),
            ("list", "onnx", "fp32 ONNX", 1.6),
            ("list", "onnx_int8", "int8 ONNX", 3.0),
        )
    ),
    Stage(
        name="evidence in a document",
        opponent="the reader over every sentence",
        unit="documents/s",
        bar=1.2,
        ours=inference.ours_evidence,
        theirs=inference.theirs_sentences,
    ),
    Stage(
        name="answers of int8 ONNX that are PyTorch's",
        opponent="the bar",
        unit="%",
        bar=1.0,
        ours=partial(inference.equal_answers, backend="onnx_int8"),
        theirs=inference.fewest_equal,
        turns=1,
        measures="value",
        needs_model=True,
    ),
    Stage(
        name="F1 of int8 ONNX",
        opponent=f"fp32 PyTorch, less {inference.MOST_F1_LOST:g}",
        unit="F1",
        bar=1.0,
        ours=partial(inference.f1, backend="onnx_int8"),
        theirs=partial(inference.f1, backend="torch", less=inference.MOST_F1_LOST),
        turns=1,
        measures="value",
        needs_model=True,
    ),
)
