"""Source -> validated examples."""

from typing import TYPE_CHECKING

from qa import lazy_exports

if TYPE_CHECKING:
    from qa.data.examples import Examples as Examples
    from qa.data.examples import load_examples as load_examples
    from qa.data.examples import load_training_examples as load_training_examples
    from qa.data.examples import load_validation_examples as load_validation_examples
    from qa.data.examples import take as take

__all__ = ["Examples", "load_examples", "load_training_examples", "load_validation_examples", "take"]

__getattr__ = lazy_exports(
    __name__,
    {
        "Examples": "examples",
        "load_examples": "examples",
        "load_training_examples": "examples",
        "load_validation_examples": "examples",
        "take": "examples",
    },
)
