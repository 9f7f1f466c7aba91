"""transformers with the pipeline that it removed, and then as it was, for whichever test comes next."""

import contextlib
import sys

import transformers
from transformers import pipelines

import qa


@contextlib.contextmanager
def pipeline_restored():
    registry = pipelines.PIPELINE_REGISTRY
    before = dict(registry.supported_tasks), dict(pipelines.REMOVED_TASKS)
    qa.restore_pipeline()
    try:
        yield
    finally:
        registry.supported_tasks.clear()
        registry.supported_tasks.update(before[0])
        pipelines.REMOVED_TASKS.update(before[1])
        for place in (transformers, sys.modules["transformers"], pipelines):
            vars(place).pop("QuestionAnsweringPipeline", None)
            vars(place).pop("TFPreTrainedModel", None)
        vars(pipelines).pop("question_answering", None)
        sys.modules.pop("transformers.pipelines.question_answering", None)
