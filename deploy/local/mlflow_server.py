"""MLflow's tracking server as one process.

`mlflow server` imports MLflow twice, in itself and in a uvicorn below it: twice the memory and twice the start, and a
process that dies with its parent only by luck. The application, its settings and its database are the same here.
"""

import argparse
import os

import uvicorn

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> None:
    """Bring the database up to date, then serve until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument(
        "--database", help="SQLAlchemy URL; by default OFFERS_MLFLOW_DATABASE, which may hold a password"
    )
    parser.add_argument("--artifacts", required=True, help="where the server keeps artefacts that clients send it")
    given = parser.parse_args(arguments)
    database = given.database or os.environ["OFFERS_MLFLOW_DATABASE"]

    # The application reads these when it is imported.
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
    from mlflow import server
    from mlflow.server.handlers import initialize_backend_stores

    os.environ[server.BACKEND_STORE_URI_ENV_VAR] = database
    os.environ[server.SERVE_ARTIFACTS_ENV_VAR] = "true"
    os.environ[server.ARTIFACTS_DESTINATION_ENV_VAR] = given.artifacts
    os.environ[server.ARTIFACT_ROOT_ENV_VAR] = "mlflow-artifacts:/"
    initialize_backend_stores(database, database, "mlflow-artifacts:/")
    uvicorn.run("mlflow.server.fastapi_app:app", host=given.host, port=given.port, access_log=False)


if __name__ == "__main__":
    main()
