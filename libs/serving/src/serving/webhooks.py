"""MLflow's signed registry webhook: an alias may have moved, so the watch looks now and not at its turn.

It is registered once a service, with the secret that the service has in `OFFERS_WEBHOOK_SECRET`:

    curl -X POST $OFFERS_MLFLOW_URL/api/2.0/mlflow/webhooks -H 'content-type: application/json' -d '{
      "name": "residency", "url": "http://127.0.0.1:8001/v1/model/webhook", "secret": "…",
      "events": [{"entity": "MODEL_VERSION_ALIAS", "action": "CREATED"}]}'

MLflow delivers to public HTTPS addresses only, unless its server runs with MLFLOW_WEBHOOK_ALLOWED_SCHEMES=http,https
and MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS=true; MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY, a Fernet key, must outlive its
restarts. It delivers by ten threads, with retries for a while: delete the webhook of a service that is gone, or the
others wait for it. One process of a machine passes a delivery on to the others; other machines need a webhook each, or
poll.

A delivery is only believed to be a reason to look: what is served comes from the registry itself.
"""

import base64
import hashlib
import hmac
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

__all__ = ["BODY_BYTES_MAX", "Delivery", "WebhookError", "WebhookVerifier", "sign"]

BODY_BYTES_MAX = 64 * 1024
_VERSION = "v1"
_REMEMBERED = 4096
_ENTITIES = frozenset({"model_version_alias", "model_version_tag", "registered_model", "model_version"})


class WebhookError(ValueError):
    """A delivery that is not MLflow's, too old, or one that was seen before; the message says which."""


class Delivery(msgspec.Struct, frozen=True):
    """What MLflow sends; `data` differs by entity."""

    entity: str
    action: str
    data: dict[str, Any] = {}

    def concerns(self, model: str) -> bool:
        """Whether it may change what is served of a registered model."""
        return self.entity in _ENTITIES and self.data.get("name") == model


class WebhookVerifier:
    """Checks deliveries against the secret that was given to MLflow with the webhook.

    MLflow signs `<delivery id>.<timestamp>.<body>` by HMAC-SHA256. A delivery is taken once, within the window.
    """

    def __init__(self, secret: str, window_seconds: float, clock: Callable[[], float] = time.time) -> None:
        self._secret = secret.encode()
        self._window_seconds = window_seconds
        self._clock = clock
        self._seen: OrderedDict[str, None] = OrderedDict()

    def verify(self, headers: Mapping[bytes, bytes], body: bytes) -> Delivery:
        """Return a genuine delivery; raises `WebhookError`."""
        signature = headers.get(b"x-mlflow-signature", b"")
        delivery_id = headers.get(b"x-mlflow-delivery-id", b"")
        timestamp = headers.get(b"x-mlflow-timestamp", b"")
        expected = sign(self._secret, delivery_id, timestamp, body)
        if not delivery_id or not hmac.compare_digest(signature, expected):
            raise WebhookError("the signature is not MLflow's")
        # Signed, so of the right form unless the sender is broken.
        if not timestamp.isdigit() or abs(self._clock() - int(timestamp)) > self._window_seconds:
            raise WebhookError("the timestamp is outside the window")
        self._take_once(delivery_id.decode("latin-1"))
        try:
            return msgspec.json.decode(body, type=Delivery)
        except msgspec.DecodeError:
            raise WebhookError("the body is no delivery") from None

    def _take_once(self, delivery_id: str) -> None:
        if delivery_id in self._seen:
            raise WebhookError("the delivery was seen before")
        self._seen[delivery_id] = None
        while len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)


def sign(secret: bytes, delivery_id: bytes, timestamp: bytes, body: bytes) -> bytes:
    """Give the value of the header `X-MLflow-Signature`."""
    digest = hmac.new(secret, b"%b.%b.%b" % (delivery_id, timestamp, body), hashlib.sha256).digest()
    return f"{_VERSION},{base64.b64encode(digest).decode()}".encode()
