from hypothesis import given
from hypothesis import strategies as st

from online_features.keys import KEY_END, entity_text, key_slot, view_key_prefix

text = st.text(min_size=1, max_size=12)


def key(project: str, view: str, *values: str) -> bytes:
    return f"{view_key_prefix(project, view)}{entity_text(values)}{KEY_END}".encode()


def test_a_key_is_short_and_readable() -> None:
    assert key("offers", "candidate_profile", "c0000001") == b"offers:candidate_profile:{c0000001}"


@given(st.from_regex(r"[A-Za-z0-9_.:-]{1,20}", fullmatch=True), text, text)
def test_all_views_of_an_entity_share_a_cluster_slot(entity: str, one: str, other: str) -> None:
    assert key_slot(key("p", one, entity)) == key_slot(key("p", other, entity))


@given(st.lists(text, min_size=2, max_size=3), st.lists(text, min_size=2, max_size=3))
def test_two_entities_never_share_a_key(one: list[str], other: list[str]) -> None:
    assert (entity_text(one) == entity_text(other)) == (one == other)


@given(text, text, text, text)
def test_two_views_never_share_a_key(project: str, view: str, other_project: str, other_view: str) -> None:
    same = view_key_prefix(project, view) == view_key_prefix(other_project, other_view)

    assert same == ((project, view) == (other_project, other_view))


def test_slots_are_those_of_redis_cluster() -> None:
    # From the specification: CRC16 of "123456789" is 0x31C3.
    assert key_slot(b"123456789") == 0x31C3
    assert key_slot(b"{user1000}.following") == key_slot(b"{user1000}.followers")
    assert key_slot(b"foo{}{bar}") == key_slot(b"foo{}{bar}")
