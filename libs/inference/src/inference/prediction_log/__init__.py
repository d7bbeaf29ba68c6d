"""What was scored, and what came of it later: the messages of the log, and the spool that keeps them on disk.

Written by serving processes and read by pipelines, so that it knows neither a web framework nor Redis.
"""

from inference.prediction_log.errors import UnreadableError
from inference.prediction_log.feedback import Feedback, decode_feedback, encode_feedback
from inference.prediction_log.messages import LoggedRows, decode_rows, without_rows
from inference.prediction_log.records import Record, encode_records, record_of
from inference.prediction_log.spool import Chunk, Spool, rewrite_abandoned
from inference.prediction_log.spool_frames import Frame
from inference.prediction_log.streams import FEEDBACK, PREDICTIONS, stream_key

__all__ = [
    "FEEDBACK",
    "PREDICTIONS",
    "Chunk",
    "Feedback",
    "Frame",
    "LoggedRows",
    "Record",
    "Spool",
    "UnreadableError",
    "decode_feedback",
    "decode_rows",
    "encode_feedback",
    "encode_records",
    "record_of",
    "rewrite_abandoned",
    "stream_key",
    "without_rows",
]
