"""The reader: encoder, span head, tokenizer, settings."""

from typing import TYPE_CHECKING

from qa.lazy import lazy_exports

if TYPE_CHECKING:
    from qa.modeling.loss import choose_loss as choose_loss
    from qa.modeling.loss import span_loss as span_loss
    from qa.modeling.reader import Reader as Reader
    from qa.modeling.reader import load_reader as load_reader
    from qa.modeling.reader import load_reader_for as load_reader_for

__all__ = ["Reader", "choose_loss", "load_reader", "load_reader_for", "span_loss"]

__getattr__ = lazy_exports(
    __name__,
    {
        "Reader": "reader",
        "choose_loss": "loss",
        "load_reader": "reader",
        "load_reader_for": "reader",
        "span_loss": "loss",
    },
)
