"""The command `cache`: the data stored for the next training."""

from __future__ import annotations

from dataclasses import asdict

from pellucid import api
from pellucid.app import streams, tables
from pellucid.app.exits import Exit
from pellucid.app.flags import Place, Switch, parse
from pellucid.app.format import size


def cache(*, cache: Place = None, clear: Switch = False, json: Switch = False) -> int:
    """Show or clear what is stored for later.

    That is decoded pictures and their features, shards from addresses, known weights, and the runtime for pages.
    Your pictures are not touched.

    Args:
        cache: The folder. Default: the user's cache folder.
        clear: Remove everything that Pellucid stored there.
        json: Print as JSON.
    """
    if clear:
        freed = api.clear_cache(cache)
        streams.write_json({"freed_bytes": freed}, indent=2) if json else print(f"{size(freed)} freed.")
    elif json:
        streams.write_json([asdict(each) for each in api.cached(cache)], indent=2)
    else:
        tables.cache(api.cached(cache))
    return Exit.OK


def run(args: list[str]) -> int:
    return parse(cache, args, "cache")
