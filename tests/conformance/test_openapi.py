"""The OpenAPI document is valid, complete, and kept: generated requests are answered as it says."""

from typing import Any

import jsonschema
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import one_of
from schemathesis import GenerationMode, checks
from starlette.routing import Route

from serving.docs_page import DOCS_PATHS

pytestmark = pytest.mark.anyio

SCORING_STATUSES = {"200", "400", "401", "404", "413", "415", "422", "429", "500", "503", "504"}


async def test_every_route_is_declared(serve: Any) -> None:
    served = serve()
    document = served.app.openapi()
    hidden = {"/openapi.json", *DOCS_PATHS}
    routes = {route.path for route in served.app.routes if isinstance(route, Route)} - hidden
    routes |= {route.path for router in served.service.routers for route in router.routes if isinstance(route, Route)}

    assert routes == set(document["paths"])


async def test_scoring_routes_declare_every_problem(serve: Any) -> None:
    document = serve().app.openapi()
    posts = [item["post"] for item in document["paths"].values() if "post" in item]
    scoring = [post for post in posts if post.get("tags") == ["scoring"]]

    assert len(scoring) >= 2
    for operation in scoring:
        assert set(operation["responses"]) == SCORING_STATUSES
        for status, response in operation["responses"].items():
            expected = "application/json" if status == "200" else "application/problem+json"
            assert list(response["content"]) == [expected]
        assert operation["security"] == [{"ApiKey": []}, {"Bearer": []}]


async def test_every_reference_of_the_document_resolves_and_every_schema_is_one(serve: Any) -> None:
    document = serve().app.openapi()
    schemas = document["components"]["schemas"]

    def references(node: Any) -> Any:
        if isinstance(node, dict):
            if "$ref" in node:
                yield node["$ref"]
            for value in node.values():
                yield from references(value)
        elif isinstance(node, list):
            for value in node:
                yield from references(value)

    assert {reference.removeprefix("#/components/schemas/") for reference in references(document)} <= set(schemas)
    for schema in schemas.values():
        jsonschema.Draft202012Validator.check_schema(schema)


async def test_answers_fit_their_schemas(serve: Any) -> None:
    served = serve()
    document = served.app.openapi()
    async with served.started() as client:
        answers = {
            "ScoreAnswer": await client.post("/v1/score", json=served.key() | {"explain": True}),
            "BulkAnswer": await client.post("/v1/score/bulk", json=served.bulk([1, 2, 999])),
            "ModelAnswer": await client.get("/v1/model"),
            "ReadyAnswer": await client.get("/readyz"),
            "LiveAnswer": await client.get("/livez"),
            "ProblemAnswer": await client.post("/v1/score", json={}),
        }

    for name, response in answers.items():
        schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        jsonschema.Draft202012Validator(schema).validate(response.json())


CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]


def refused(context: Any, response: Any, case: Any) -> bool | None:
    """As schemathesis' own check, but a list that is too long is rightly answered 413."""
    return None if response.status_code == 413 else checks.negative_data_rejection(context, response, case)


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_generated_requests_are_answered_as_declared(serve: Any, mode: GenerationMode) -> None:
    """Well-formed requests never fail otherwise than declared; ill-formed ones are refused."""
    served = serve(bulk_rows_max=20)
    schema = schemathesis.openapi.from_asgi("/openapi.json", served.app)
    wanted = [*CHECKS, refused] if mode is GenerationMode.NEGATIVE else CHECKS
    operations = [found.ok() for found in schema.get_all_operations()]
    scoring = [operation for operation in operations if operation.method == "post"]

    @settings(
        max_examples=25,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=one_of([operation.as_strategy(generation_mode=mode) for operation in scoring]))
    def answered_as_declared(case: Any) -> None:
        case.call_and_validate(checks=wanted, headers=served.headers)

    answered_as_declared()

    assert len(scoring) >= 2
