# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of path resolution that is about text alone."""

from __future__ import annotations

import posixpath

from hypothesis import given
from hypothesis import strategies as st

from madcap.kernel.at_once import is_clean

parts = st.lists(st.sampled_from([b"", b".", b"..", b"a", b".b", b"..c", b"d."]), max_size=6)


@given(parts, st.booleans())
def test_clean_paths_are_those_that_normalising_leaves_alone(
    components: list[bytes], absolute: bool
) -> None:
    path = (b"/" if absolute else b"") + b"/".join(components)
    if not path or path == b"/":
        return
    expected = posixpath.normpath(path) == path and b".." not in path.split(b"/")
    if path == b"." or path.startswith(b"//"):  # POSIX leaves two slashes at the start alone.
        expected = False
    assert is_clean(path) == expected
