"""Words of a vocabulary as a Pydantic type: `Annotated[str, *one_of(ROLES)]`."""

from collections.abc import Sequence

from pydantic import AfterValidator, WithJsonSchema

__all__ = ["one_of"]


def one_of(words: Sequence[str]) -> tuple[AfterValidator, WithJsonSchema]:
    """Accept these words only, and list them in OpenAPI."""
    known = frozenset(words)

    def check(word: str) -> str:
        if word not in known:
            raise ValueError("is no word of the vocabulary")
        return word

    return AfterValidator(check), WithJsonSchema({"type": "string", "enum": list(words)})
