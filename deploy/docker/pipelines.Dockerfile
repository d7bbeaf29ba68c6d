# Pipelines and the MLflow server: docker build -f deploy/docker/pipelines.Dockerfile .
FROM python:3.11-slim
RUN apt-get update && apt-get install --yes --no-install-recommends gcc libc6-dev libgomp1 && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --create-home --home-dir /var/lib/offers offers
WORKDIR /opt/offers
COPY requirements /opt/offers/requirements
RUN pip install --no-cache-dir --require-hashes --requirement requirements/uv.txt \
    && uv pip install --no-cache --compile-bytecode --system --require-hashes --requirement requirements/pipelines.lock
COPY libs /opt/offers/libs
COPY services/pipelines /opt/offers/services/pipelines
# Editable: whether a step is due follows from the content of these files.
RUN uv pip install --no-cache --system --no-deps --editable libs/inference --editable libs/marketplace \
    --editable libs/online_features --editable services/pipelines
COPY feature_repo /opt/offers/feature_repo
COPY deploy/local /opt/offers/deploy/local
COPY deploy/docker /opt/offers/deploy/docker
ENV PYTHONUNBUFFERED=1 \
    OFFERS_HOME=/var/lib/offers \
    MLFLOW_DISABLE_TELEMETRY=true \
    DO_NOT_TRACK=true
USER offers
CMD ["python", "-m", "pipelines", "run"]
