"""Lets every test import the package and its own neighbours, and portable tests skip as pytest does."""
import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "package/wgp2p"), str(HERE / "portable"), str(HERE / "tools")]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    import helpers

    outcome = yield
    if outcome.excinfo and issubclass(outcome.excinfo[0], helpers.Skip):
        outcome.force_exception(pytest.skip.Exception(str(outcome.excinfo[1])))
