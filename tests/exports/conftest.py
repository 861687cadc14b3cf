"""The runtime for browsers, which tests share with the user's cache: it is 33 MB."""

import pytest

from pellucid.errors import ArtefactError
from pellucid.exports import browser_runtime
from pellucid.exports.browser_runtime import BrowserRuntime


@pytest.fixture(scope="session")
def runtime() -> BrowserRuntime:
    """Out of the user's cache, or else from npm's registry."""
    try:
        return browser_runtime.read(browser_runtime.default_cache())
    except ArtefactError as error:
        pytest.skip(f"NOT TESTED: an exported page, and Node.js. {error}")
