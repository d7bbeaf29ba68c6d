"""MLflow's scoring protocol, so that its clients work unchanged."""

from serving.mlflow_scoring.routes import MLFLOW_VERSION, MlflowScoring

__all__ = ["MLFLOW_VERSION", "MlflowScoring"]
