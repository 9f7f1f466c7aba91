"""An HTTP service and a page that answer questions with one reader."""

from typing import TYPE_CHECKING

from qa.lazy import lazy_exports

if TYPE_CHECKING:
    from qa.serving.factory import app_from_env as app_from_env

__all__ = ["app_from_env"]

__getattr__ = lazy_exports(__name__, {"app_from_env": "factory"})
