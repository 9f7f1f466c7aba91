"""Public names that are imported when they are first asked for."""

import importlib
from collections.abc import Callable, Mapping

_EXTRAS = {
    "torch": "torch",
    "accelerate": "train",
    "datasets": "train",
    "evaluate": "train",
    "filelock": "train",
    "ray": "ray",
    "pyspark": "spark",
}
"""What installs a package that not every installation has."""


def lazy_exports(package: str, homes: Mapping[str, str]) -> Callable[[str], object]:
    """Return a package's `__getattr__`, which imports a public name when it is first asked for.

    torch, transformers and datasets take seconds to import, and a part of a package may need none of them.

    Args:
        package: its name.
        homes: module of the package by public name; a public module is listed under its own name.

    Returns:
        A function of a name, which raises AttributeError for one that is not public, and ImportError where its module
        needs an extra that is not installed, or a name that another package does not have.

    """

    def get(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        try:
            module = importlib.import_module(f"{package}.{homes[name]}")
        except ModuleNotFoundError as error:
            if error.name not in _EXTRAS:
                raise
            how = f"install it with: pip install 'extractive-qa[{_EXTRAS[error.name]}]'"
            raise ImportError(f"{package}.{name} needs {error.name}; {how}", name=error.name) from error
        except AttributeError as error:  # else `from … import` says that the name is not here
            raise ImportError(
                f"{package}.{name} cannot be imported: {error}; a package of another version may be installed"
            ) from error
        return module if homes[name] == name else getattr(module, name)

    return get
