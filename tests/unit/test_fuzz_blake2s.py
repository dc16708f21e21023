"""blake2s.py's pure implementation against CPython's own."""
import hashlib

from hypothesis import given, settings
from hypothesis import strategies as st

from wgp2p import blake2s


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=300), key=st.binary(max_size=32), size=st.integers(1, 32))
def test_pure_is_the_same_hash(data, key, size):
    wanted = hashlib.blake2s(data, key=key, digest_size=size).digest()
    assert blake2s.pure_blake2s(data, key, size) == blake2s.blake2s(data, key, size) == wanted


@settings(max_examples=100, deadline=None)
@given(data=st.binary(min_size=1, max_size=300), key=st.binary(min_size=32, max_size=32))
def test_kept_key(data, key):
    wanted = hashlib.blake2s(data, key=key, digest_size=16).digest()
    assert blake2s.PureMac1(key).of(data) == blake2s.Mac1(key).of(data) == wanted
