"""Public names, imported when they are first asked for, and what is said where that fails."""

import sys
from types import ModuleType

import pytest

from qa.lazy import lazy_exports


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A function that writes a package `shop`, whose names are those given, and its modules."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "shop").mkdir()

    def made(homes, **modules):
        for name, text in modules.items():
            (tmp_path / "shop" / f"{name}.py").write_text(text)
        (tmp_path / "shop" / "__init__.py").write_text(
            f"from qa.lazy import lazy_exports\n__getattr__ = lazy_exports(__name__, {homes!r})\n"
        )

    yield made
    for name in [name for name in sys.modules if name.split(".")[0] == "shop"]:
        del sys.modules[name]


def test_a_name_is_found_in_its_module(package):
    package({"price": "goods", "goods": "goods"}, goods="price = 3")
    from shop import goods, price

    assert price == 3
    assert isinstance(goods, ModuleType)


def test_another_name_is_none():
    with pytest.raises(AttributeError, match=r"module 'shop' has no attribute 'cost'"):
        lazy_exports("shop", {"price": "goods"})("cost")


def test_a_missing_extra_is_named(package, monkeypatch):
    package({"price": "goods"}, goods="import accelerate")
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(ImportError, match=r"shop\.price needs accelerate; install it with: .*extractive-qa\[train\]"):
        from shop import price  # noqa: F401


def test_a_package_of_another_version_is_not_taken_for_a_missing_name(package):
    package({"price": "goods"}, goods="import json\nprice = json.Run")
    with pytest.raises(ImportError, match=r"shop\.price cannot be imported: module 'json' has no attribute 'Run'"):
        from shop import price  # noqa: F401
