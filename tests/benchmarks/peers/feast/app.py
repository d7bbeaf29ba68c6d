"""What most teams write: the Feast SDK and an MLflow pyfunc model in one FastAPI route."""

import os
from typing import Any

import mlflow.pyfunc
from fastapi import FastAPI
from feast import FeatureStore
from pydantic import BaseModel

store = FeatureStore(repo_path=os.environ["BENCH_FEAST_REPO"])
service = store.get_feature_service("bench")
model = mlflow.pyfunc.load_model(os.environ["BENCH_MLFLOW_MODEL"])
names = [f"f{index:02d}" for index in range(32)]
app = FastAPI()


class ScoreRequest(BaseModel):
    """Ids of one or many candidates."""

    candidate_ids: list[str]


@app.get("/ready")
async def ready() -> dict[str, bool]:
    """Answer once the model is loaded."""
    return {"ready": True}


@app.post("/score")
async def score(request: ScoreRequest) -> dict[str, Any]:
    """Read the features and score; blocking on purpose: on one core it is faster here than the thread pool."""
    rows = [{"candidate_id": one} for one in request.candidate_ids]
    features = store.get_online_features(features=service, entity_rows=rows).to_df()
    return {"predictions": model.predict(features[names]).tolist()}
