"""The prediction log and feedback of a serving process: off the request path, over Redis or a spool on disk."""

from serving.prediction_log.feedback_journal import FeedbackJournal, JournalError
from serving.prediction_log.log import PredictionLog
from serving.prediction_log.opening import open_feedback_journal, open_prediction_log

__all__ = ["FeedbackJournal", "JournalError", "PredictionLog", "open_feedback_journal", "open_prediction_log"]
