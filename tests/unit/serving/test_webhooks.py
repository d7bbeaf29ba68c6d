import json

import pytest

from serving.webhooks import Delivery, WebhookError, WebhookVerifier, sign

SECRET = b"a-secret"
BODY = json.dumps(
    {
        "entity": "model_version_alias",
        "action": "created",
        "timestamp": "2026-11-24T00:00:00+00:00",
        "data": {"name": "residency", "alias": "champion", "version": "2"},
    }
).encode()
NOW = 1_790_000_000


def headers(
    body: bytes = BODY, *, delivery: bytes = b"d1", at: int = NOW, secret: bytes = SECRET
) -> dict[bytes, bytes]:
    timestamp = b"%d" % at
    return {
        b"x-mlflow-signature": sign(secret, delivery, timestamp, body),
        b"x-mlflow-delivery-id": delivery,
        b"x-mlflow-timestamp": timestamp,
    }


@pytest.fixture
def verifier() -> WebhookVerifier:
    return WebhookVerifier(SECRET.decode(), 300, clock=lambda: NOW)


def test_the_signature_is_mlflows_own() -> None:
    from mlflow.webhooks.delivery import _generate_hmac_signature

    theirs = _generate_hmac_signature("a-secret", "d1", str(NOW), BODY.decode())

    assert sign(SECRET, b"d1", b"%d" % NOW, BODY) == theirs.encode()


def test_a_genuine_delivery_is_taken_once(verifier: WebhookVerifier) -> None:
    delivery = verifier.verify(headers(), BODY)

    assert delivery.concerns("residency")
    assert not delivery.concerns("hourly_rate")
    with pytest.raises(WebhookError, match="seen before"):
        verifier.verify(headers(), BODY)


@pytest.mark.parametrize(
    ("changed", "body", "reason"),
    [
        ({b"x-mlflow-signature": b"v1,AAAA"}, BODY, "signature"),
        ({b"x-mlflow-signature": b""}, BODY, "signature"),
        ({b"x-mlflow-delivery-id": b"d2"}, BODY, "signature"),
        ({b"x-mlflow-delivery-id": b""}, BODY, "signature"),
        ({b"x-mlflow-timestamp": b"%d" % (NOW + 1)}, BODY, "signature"),
        ({}, BODY + b" ", "signature"),
        (headers(secret=b"another"), BODY, "signature"),
        (headers(at=NOW - 301), BODY, "window"),
        (headers(at=NOW + 301), BODY, "window"),
        (headers(b"no json"), b"no json", "no delivery"),
    ],
)
def test_anything_else_is_refused(
    verifier: WebhookVerifier, changed: dict[bytes, bytes], body: bytes, reason: str
) -> None:
    with pytest.raises(WebhookError, match=reason):
        verifier.verify(headers() | changed, body)


def test_events_that_change_nothing_served_do_not_concern() -> None:
    assert not Delivery("prompt_alias", "created", {"name": "residency"}).concerns("residency")
