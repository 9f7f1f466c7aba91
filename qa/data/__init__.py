"""Source -> validated examples."""

from typing import TYPE_CHECKING

from qa.lazy import lazy_exports

if TYPE_CHECKING:
    from qa.data.examples import Examples as Examples
    from qa.data.examples import load_examples as load_examples
    from qa.data.examples import take as take
    from qa.data.training_data import load_further_validation_examples as load_further_validation_examples
    from qa.data.training_data import load_training_examples as load_training_examples
    from qa.data.training_data import load_validation_examples as load_validation_examples

__all__ = [
    "Examples",
    "load_examples",
    "load_further_validation_examples",
    "load_training_examples",
    "load_validation_examples",
    "take",
]

__getattr__ = lazy_exports(
    __name__,
    {
        "Examples": "examples",
        "load_examples": "examples",
        "load_further_validation_examples": "training_data",
        "load_training_examples": "training_data",
        "load_validation_examples": "training_data",
        "take": "examples",
    },
)
