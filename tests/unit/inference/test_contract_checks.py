from collections.abc import Callable
from dataclasses import replace as replace_record
from pathlib import Path
from typing import Any

import msgspec
import pytest

from inference.contract import Contract, ReferenceBins
from inference.contract_checks import check_contract, check_schemas, encode_contract, read_contract
from inference.errors import ContractError
from inference.features import ViewSchema
from inference.testing import InMemoryFeatureReader

change = msgspec.structs.replace


@pytest.fixture(scope="module")
def contract(model_directory: Path) -> Contract:
    return read_contract((model_directory / "contract.json").read_bytes())


def with_feature(contract: Contract, position: int, **changes: Any) -> Contract:
    features = list(contract.features)
    features[position] = change(features[position], **changes)
    return change(contract, features=tuple(features))


def test_what_is_written_is_read_back(contract: Contract) -> None:
    assert read_contract(encode_contract(contract)) == contract


def test_stored_features_inputs_and_positions(contract: Contract) -> None:
    assert [feature.name for feature in contract.stored] == [feature.name for feature in contract.features[:-1]]
    assert contract.inputs == contract.features
    assert contract.position["rate_per_year"] == 6


def test_tables_are_read_only_arrays_made_once(contract: Contract) -> None:
    output = change(contract.output, tables={"score_x": (1.0, 2.0)})

    assert output.arrays["score_x"].tolist() == [1.0, 2.0]
    assert output.arrays is output.arrays
    assert not output.arrays["score_x"].flags.writeable


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b'{"contract_version": 1}'])
def test_what_is_no_contract_is_refused(content: bytes) -> None:
    with pytest.raises(ContractError, match="cannot be read"):
        read_contract(content)


CONTRADICTIONS: dict[str, tuple[Callable[[Contract], Contract], str]] = {
    "version": (lambda c: change(c, contract_version=9), "contract version 9"),
    "entities": (lambda c: change(c, entities=()), "no entity"),
    "inputs": (
        lambda c: change(c, features=tuple(change(f, model_input=False) for f in c.features)),
        "no feature is a model input",
    ),
    "names": (lambda c: with_feature(c, 1, name="role"), r"named twice: \['role'\]"),
    "order": (lambda c: change(c, features=c.features[::-1]), "before on-demand"),
    "reference": (lambda c: with_feature(c, 1, reference="years"), "view:feature"),
    "categories": (lambda c: with_feature(c, 1, categories=("a",)), "years_experience: categories belong"),
    "twice": (lambda c: with_feature(c, 0, categories=("a", "a")), "stands twice"),
    "bounds": (lambda c: with_feature(c, 1, minimum=70), "minimum is above"),
    "inputs of a view": (
        lambda c: change(c, on_demand=(change(c.on_demand[0], inputs=("unknown",)),)),
        r"no stored features: \['unknown'\]",
    ),
    "outputs of a view": (
        lambda c: change(c, on_demand=(change(c.on_demand[0], outputs=("role",)),)),
        r"no features: \['role'\]",
    ),
    "two views": (lambda c: change(c, on_demand=c.on_demand * 2), "another view"),
    "no view": (lambda c: change(c, on_demand=()), r"no view computes: \['rate_per_year'\]"),
    "golden width": (lambda c: change(c, golden=change(c.golden, inputs=((1.0,),), raw=(1.0,))), r"\[1\] values for 7"),
    "golden length": (lambda c: change(c, golden=change(c.golden, raw=(1.0,))), "16 golden rows with 1 "),
    "golden rows": (lambda c: change(c, golden=change(c.golden, inputs=(), raw=())), "no golden rows"),
    "bins": (
        lambda c: with_feature(c, 1, bins=ReferenceBins(edges=(1.0, 2.0), shares=(0.5, 0.5), rows=10)),
        "2 reference shares for 4 bins",
    ),
    "category bins": (
        lambda c: with_feature(c, 0, bins=ReferenceBins(edges=(), shares=(1.0,), rows=10)),
        "1 reference shares for 5 bins",
    ),
    "edges": (
        lambda c: with_feature(c, 1, bins=ReferenceBins(edges=(2.0, 1.0), shares=(0.5, 0.5, 0.0, 0.0), rows=10)),
        "do not rise",
    ),
    "shares": (
        lambda c: with_feature(c, 1, bins=ReferenceBins(edges=(1.0,), shares=(0.5, 0.1, 0.0), rows=10)),
        "add up to 1",
    ),
    "output bins": (
        lambda c: change(c, output=change(c.output, bins=ReferenceBins(edges=(1.0,), shares=(1.0,), rows=1))),
        "output: 1 reference shares",
    ),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_a_contract_that_contradicts_itself_is_refused(contract: Contract, name: str) -> None:
    broken, reason = CONTRADICTIONS[name]

    with pytest.raises(ContractError, match=reason):
        check_contract(broken(contract))


def schemas(contract: Contract) -> dict[str, ViewSchema]:
    return dict(InMemoryFeatureReader(contract).schemas_now)


def test_schemas_that_fit_pass(contract: Contract) -> None:
    check_schemas(contract, schemas(contract))


def test_a_view_that_the_store_does_not_know_is_named(contract: Contract) -> None:
    found = schemas(contract)
    del found["candidate_activity"]

    with pytest.raises(ContractError, match="commits_90d: the online store has no view candidate_activity"):
        check_schemas(contract, found)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"columns": {"role": "String"}}, "has no column years_experience"),
        ({"columns": {"role": "Bytes"}}, "is Bytes in the online store, which cannot be read as category"),
        ({"join_keys": ("company_id",)}, r"joined by \['company_id'\]"),
    ],
)
def test_a_view_that_does_not_fit_is_refused(contract: Contract, changes: dict[str, Any], reason: str) -> None:
    found = schemas(contract)
    found["candidate_profile"] = replace_record(found["candidate_profile"], **changes)

    with pytest.raises(ContractError, match=reason):
        check_schemas(contract, found)
