"""Items made ahead of their use, in a thread."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

Item = TypeVar("Item")

AHEAD = 2
"""Items that are made ahead: one is ready while the next one is made."""
_END: Any = object()


def made_ahead(items: Iterator[Item], *, ahead: int = AHEAD) -> Iterator[Item]:
    """Pass items on, which a thread takes from their iterator some items ahead; its errors come in their place."""
    with ThreadPoolExecutor(1, thread_name_prefix="batches") as thread:
        coming = deque(thread.submit(next, items, _END) for _ in range(ahead))
        while (item := coming.popleft().result()) is not _END:
            coming.append(thread.submit(next, items, _END))
            yield item
