"""The table of predictions."""

import dataclasses

from qa.data.examples import Examples
from qa.tracking.tables import prediction_table
from tests.support import tiny
from tests.support.tracking import EVALUATION, EXAMPLES


def test_table_without_references_or_spans():
    unscored = dataclasses.replace(EVALUATION, examples=Examples(rows=tiny.without_references(EXAMPLES.rows)))
    table = prediction_table(unscored, 10)
    assert [row[3] for row in table] == ["", "", ""]
    assert table[2][4:6] == [None, None]
    assert prediction_table(dataclasses.replace(unscored, predictions=None), 10) == []
