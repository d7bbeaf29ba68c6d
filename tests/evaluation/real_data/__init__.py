"""Real surveys and commits as declarations for the platform's own flow: adapters to tables, and model declarations."""

from real_data.commit_hours import COMMIT_HOURS
from real_data.dataset import Dataset, RealDataError
from real_data.dou_residency import DOU_RESIDENCY
from real_data.dou_salaries import DOU_SALARIES

__all__ = ["DATASETS", "Dataset", "RealDataError"]

DATASETS = (DOU_SALARIES, DOU_RESIDENCY, COMMIT_HOURS)
