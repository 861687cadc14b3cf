"""Several labels from folders: a picture in several class folders has all of their labels.

Copies are recognised by their bytes. Only files of equal size in different classes are read for that.
"""

from __future__ import annotations

from dataclasses import replace

from pellucid.errors import CatalogError, PictureError
from pellucid.pictures.catalog import Catalog
from pellucid.pictures.columns import Picture, Pictures
from pellucid.pictures.reading import digest_of, stamp_of
from pellucid.texts import LABELS_BETWEEN


def joined(catalog: Catalog) -> Catalog:
    """Turn a catalog of class folders into one with several labels: each picture once, under the first of its paths.

    A catalog that already has several labels, as from a table, does not change. Copies on different sides of the
    folders' split stay separate. Unreadable files stay too: decoding gives the reason. Raises CatalogError if a class
    has the separator in its name.
    """
    check_names(catalog)
    if catalog.several:  # from a table
        return catalog
    sizes: dict[tuple[int, str | None], list[Picture]] = {}
    pictures = list(catalog.pictures)
    for picture in pictures:
        listed = catalog.stamp_listed(picture.path)
        size = listed[0] if catalog.listing else stamp_of(catalog.picture_at(picture.path))[0]
        sizes.setdefault((size, picture.side), []).append(picture)
    labels: dict[str, set[int]] = {}  # of the first path for each content
    gone: set[str] = set()
    for (size, _), some in sizes.items():
        if size < 0 or len({picture.label for picture in some}) < 2:
            continue
        first: dict[str, Picture] = {}
        for picture in some:
            try:
                digest = digest_of(catalog.picture_at(picture.path))
            except (OSError, PictureError):
                continue
            earlier = first.setdefault(digest, picture)
            if earlier is not picture and earlier.label != picture.label:
                labels.setdefault(earlier.path, set()).add(picture.label)
                gone.add(picture.path)
    remaining = [
        replace(picture, also=tuple(sorted(labels.get(picture.path, ()))))
        for picture in pictures
        if picture.path not in gone
    ]
    return replace(catalog, pictures=Pictures.of(remaining), several=True)


def hint(catalog: Catalog) -> tuple[str, ...]:
    """A sentence if class names look like several labels each; such a name is one class. Empty if none does."""
    some = [name for name in catalog.classes if LABELS_BETWEEN in name]
    parts = {part.strip() for name in some for part in name.split(LABELS_BETWEEN)}
    if catalog.several or not parts & set(catalog.classes):
        return ()
    return (
        f"class {some[0]!r} is one class here; --labels several reads it as labels with {LABELS_BETWEEN} between them",
    )


def check_names(catalog: Catalog) -> None:
    """Raise CatalogError if a class has the separator in its name."""
    for name in catalog.classes:
        if LABELS_BETWEEN in name:
            raise CatalogError(
                f"The class {name!r} of {catalog.place} has a {LABELS_BETWEEN} in its name, but {LABELS_BETWEEN} "
                "separates the labels of a picture. Rename the class."
            )
