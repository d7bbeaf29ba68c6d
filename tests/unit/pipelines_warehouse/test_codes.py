"""Words become codes by their position in the vocabulary."""

import numpy as np
import pandas as pd

from pipelines.features.codes import coded_columns


def test_unknown_and_missing_words_are_nan() -> None:
    frame = pd.DataFrame({"role": ["frontend_engineer", None, "wizard"], "skill_mask": [3, None, 1]})

    coded = coded_columns(frame, ("role", "skill_mask", "prefecture"))

    np.testing.assert_array_equal(coded["role"], [1.0, np.nan, np.nan])
    np.testing.assert_array_equal(coded["skill_mask"], [3.0, np.nan, 1.0])
    assert "prefecture" not in coded


def test_nullable_integers_keep_their_gaps() -> None:
    coded = coded_columns(pd.DataFrame({"job_hours_week": pd.array([20, None], dtype="Int64")}), ("job_hours_week",))

    np.testing.assert_array_equal(coded["job_hours_week"], [20.0, np.nan])
