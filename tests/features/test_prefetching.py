import threading

import pytest

from qa.features.prefetching import AHEAD, made_ahead


def test_items_come_in_their_order_made_by_another_thread():
    makers = []

    def items():
        for item in range(10):
            makers.append(threading.get_ident())
            yield item

    assert list(made_ahead(items())) == list(range(10))
    assert threading.get_ident() not in makers
    assert len(set(makers)) == 1


@pytest.mark.parametrize("items", [[], [None], [1, None, 2]])
def test_none_is_an_item_like_others(items):
    assert list(made_ahead(iter(items))) == items


def test_an_error_comes_where_its_item_would_have_come():
    def items():
        yield "first"
        raise ValueError("second")

    coming = made_ahead(items())
    assert next(coming) == "first"
    with pytest.raises(ValueError, match="second"):
        next(coming)


def test_no_more_is_made_than_some_items_ahead_and_nothing_after_closing():
    made = []

    def items():
        for item in range(100):
            made.append(item)
            yield item

    coming = made_ahead(items())
    next(coming)
    coming.close()  # waits for what was begun
    assert 1 <= len(made) <= 2 + AHEAD
    assert not any(thread.name.startswith("batches") for thread in threading.enumerate())
