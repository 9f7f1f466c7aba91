"""gradio: an interface for a reader; `Interface.from_pipeline` takes classes of transformers' own modules only."""

import gradio

from qa.inference.drop_in import QuestionAnsweringPipeline


def reader_interface(pipeline: QuestionAnsweringPipeline) -> gradio.Interface:
    """Return the interface that `gradio.Interface.from_pipeline` made of the removed pipeline.

    Args:
        pipeline: what `qa.pipeline` returns.

    """

    def answer(context: str, question: str) -> tuple[str, float]:
        found = pipeline(question=question, context=context, top_k=1)
        return found["answer"], found["score"]

    return gradio.Interface(
        answer,
        [gradio.Textbox(lines=7, label="Context"), gradio.Textbox(label="Question")],
        [gradio.Textbox(label="Answer"), gradio.Number(label="Score")],
        title="Question Answering",
    )
