"""Digests depend on the content, and on nothing else."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unchoke.hashing import canonical_json, sha256_bytes, sha256_json

leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
plain_data = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10)


def test_digest_of_bytes_is_that_of_the_standard():
    # FIPS 180-2, appendix B.1
    assert sha256_bytes(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


@given(st.dictionaries(st.text(), plain_data, min_size=2))
def test_order_of_keys_does_not_matter(mapping):
    turned = dict(reversed(mapping.items()))
    assert canonical_json(mapping) == canonical_json(turned)
    assert sha256_json(mapping) == sha256_json(turned)


@given(plain_data)
def test_canonical_json_is_json_of_the_same_content(value):
    assert json.loads(canonical_json(value)) == value


@given(st.lists(st.integers(), min_size=2, unique=True))
def test_order_of_a_list_matters(values):
    assert sha256_json(values) != sha256_json(values[::-1])


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_json_cannot_say_is_refused(value):
    with pytest.raises(ValueError, match="JSON"):
        canonical_json({"loss": value})
