"""A reader -> ONNX files, in float32 and with 8-bit weights.

The files go into `onnx/` of the model's folder, where `Predictor.from_pretrained(folder, backend="onnx")` finds them.
"""

import tempfile
from pathlib import Path

import torch
from torch import Tensor, nn

from qa.errors import ExportError, in_a_line
from qa.files import whole_folder
from qa.inference.onnx import ONNX_FILES, SpanLogits
from qa.inference.onnx_attention import FUSED, PLAIN, attention_by
from qa.inference.onnx_quantise import quantise, quiet
from qa.modeling.conditional_head import rank_of
from qa.modeling.layout_file import Layout
from qa.modeling.quirks import full_attention_up_to, longest_window
from qa.modeling.reader import Reader

_TRACED = 3, 9  # tokens of the contexts of the windows that the exporter traces


class _Positional(nn.Module):
    """A model whose inputs come in order and whose outputs are a tuple, as the exporter wants them."""

    def __init__(self, reader: Reader) -> None:
        super().__init__()
        self.model, self.names = reader.model, reader.input_names

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        output = self.model(**dict(zip(self.names, inputs, strict=True)))
        return output.start_logits, output.end_logits


def export_onnx(reader: Reader, folder: Path) -> None:
    """Write the reader as `onnx/model.onnx` and `onnx/model_int8.onnx` into `folder`, both or neither.

    The first has operators of the standard alone; the second is for onnxruntime, and its attention too.

    Raises:
        ExportError: torch's exporter does not take the model, or the exporter or onnxruntime is not installed.

    """
    target, limit = folder / "onnx", full_attention_up_to(reader.model)
    usual = reader.usual_settings.max_length
    if limit is not None and usual > limit:
        raise ExportError(
            f"model {reader.name!r} has block-sparse attention beyond {limit} tokens, which an ONNX file has not; "
            f"its windows have {usual}"
        )
    with whole_folder(target) as part:
        plain, small = (part / Path(ONNX_FILES[name]).name for name in ("onnx", "onnx_int8"))
        trace_model(reader, plain)
        with tempfile.TemporaryDirectory(dir=part) as beside:
            fused = Path(beside) / "fused.onnx"  # which may have weights in a file of their own beside it
            trace_model(reader, fused, attention=FUSED)
            quantise(fused, small, head=len(SpanLogits._fields) * (1 + rank_of(reader.model)))
        Layout(template=reader.encoder.template, longest=_longest(reader)).save(part)


def _longest(reader: Reader) -> int | None:
    limits = longest_window(reader.model), full_attention_up_to(reader.model)
    return min((limit for limit in limits if limit is not None), default=None)


def trace_model(reader: Reader, path: Path, *, attention: str = PLAIN) -> None:
    """Export with any number of rows and tokens; it is traced with two windows of unlike lengths.

    Args:
        reader: whose model it is.
        path: of the file.
        attention: `PLAIN` or `FUSED`.

    Raises:
        ExportError: as `export_onnx`.

    """
    values = reader.windows(*_TRACED)
    sizes = {0: "batch", 1: "token"}
    try:
        with quiet(), torch.inference_mode(), attention_by(reader.model, attention):
            program = torch.onnx.export(
                _Positional(reader).train(mode=False),
                tuple(values[name] for name in reader.input_names),
                dynamo=True,
                verbose=False,
                input_names=list(reader.input_names),
                output_names=list(SpanLogits._fields),
                dynamic_shapes=(tuple(sizes for _ in reader.input_names),),
            )
            assert program is not None, "the exporter returns nothing only where it writes a file itself"
            for node in program.model.graph.all_nodes():
                node.metadata_props.clear()  # lines of code, by their paths on this machine
            program.save(path)
    except ImportError as error:
        raise ExportError(
            f"cannot export: {error}; install what is missing with: pip install 'extractive-qa[export]'"
        ) from error
    except Exception as error:  # the exporter raises anything
        raise ExportError(f"model {reader.name!r} does not become an ONNX file: {in_a_line(error)}") from error
