"""Examples -> batches of tensors."""

from typing import TYPE_CHECKING

from qa.lazy import lazy_exports

if TYPE_CHECKING:
    from qa.features.cache import cached_features as cached_features
    from qa.features.cache import cached_labels as cached_labels
    from qa.features.sampling import fewer_unlabelled as fewer_unlabelled

__all__ = ["cached_features", "cached_labels", "fewer_unlabelled"]

__getattr__ = lazy_exports(
    __name__, {"cached_features": "cache", "cached_labels": "cache", "fewer_unlabelled": "sampling"}
)
