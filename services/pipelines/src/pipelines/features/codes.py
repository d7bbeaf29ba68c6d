"""Categories as codes, for the functions that know numbers only."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from marketplace import vocabulary

__all__ = ["CATEGORIES", "coded_columns"]

CATEGORIES: Final[Mapping[str, tuple[str, ...]]] = {
    "role": vocabulary.ROLES,
    "english_level": vocabulary.ENGLISH_LEVELS,
    "japanese_level": vocabulary.JAPANESE_LEVELS,
    "phone_country": vocabulary.COUNTRIES,
    "prefecture": vocabulary.PREFECTURES,
    "remote_preference": vocabulary.REMOTE_MODES,
    "employment_status": vocabulary.EMPLOYMENT_STATUSES,
    "top_skill": vocabulary.SKILLS,
    "last_ip_country": vocabulary.COUNTRIES,
    "job_role": vocabulary.ROLES,
    "job_seniority": vocabulary.SENIORITIES,
    "job_industry": vocabulary.INDUSTRIES,
    "job_remote": vocabulary.REMOTE_MODES,
}
"""The words of each feature of type String; the code is the position."""


def coded_columns(frame: pd.DataFrame, names: Iterable[str]) -> dict[str, NDArray[np.float64]]:
    """Return the named columns as (n,) float64, categories as codes; unknown words and nulls are NaN.

    A name that the frame lacks is left out.
    """
    return {name: _coded(frame[name], CATEGORIES.get(name)) for name in names if name in frame.columns}


def _coded(column: "pd.Series[Any]", words: tuple[str, ...] | None) -> NDArray[np.float64]:
    if words is None:
        numbers: NDArray[np.float64] = pd.to_numeric(column).to_numpy(dtype=np.float64, na_value=np.nan)
        return numbers
    codes = pd.Categorical(column, categories=list(words)).codes.astype(np.float64)
    return np.where(codes < 0, np.nan, codes)
