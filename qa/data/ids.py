"""The ids of a source: each once, and made where there are none."""

import hashlib
from dataclasses import dataclass, field

from qa.data.problems import BadRowError

NO_ID = BadRowError("no id", found="none", wanted="an id, as other rows have")
_LENGTH = 24  # of a hash: 96 bits


@dataclass
class Ids:
    """The ids that are taken, by the rows that have them."""

    row_of: dict[str, int] = field(default_factory=dict)
    made: int = 0
    """Ids that were made because no row has one."""

    def taken(self, example_id: str | None) -> BadRowError | None:
        """Return what is wrong with a second row of an id; None if it is free."""
        other = None if example_id is None else self.row_of.get(example_id)
        if other is None:
            return None
        return BadRowError("duplicate id", found=f"the id of row {other}", wanted="an id of its own")

    def take(self, example_id: str, row: int) -> str:
        """Take an id for a row, with a suffix if it is taken; return it."""
        number, free = 1, example_id
        while free in self.row_of:
            number += 1
            free = f"{example_id}-{number}"
        self.row_of[free] = row
        return free

    def make(self, question: str, context: str, row: int) -> str:
        """Make an id of question and context, which are the same wherever the row stands."""
        return self.take(hashlib.sha256(f"{question}\0{context}".encode()).hexdigest()[:_LENGTH], row)
