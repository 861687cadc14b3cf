"""Every error that Pellucid raises on purpose, in one tree, and the suggestion of the nearest name.

* PellucidError         what was wrong, with the value, and what to do; the command line prints it as one line
  + PictureError        one file holds no usable picture; `reason` goes into the quarantine
  + CatalogError        a folder holds no usable data set
  + NetworkError        a network's text or its sizes do not work out
  + RecipeError         a training setting is unknown or out of range
  + TrainingError       training cannot go on: a loss that is not finite
  + ArtefactError       a model folder or known weights are missing, unfinished, damaged, or in the way
  + TraceError          the glass box cannot show what was requested: the nearest names, the valid ranges
  + StorageError        the disk is full or cannot be written
  + ExportError         a network that cannot be written for another program, or that predicts something else there
  + ClusterError        a cluster that cannot be reached, or whose machines cannot do the work
"""

from collections.abc import Iterable


class PellucidError(Exception):
    """Base of all errors meant for the user; its text is understood without a traceback."""


class PictureError(PellucidError):
    """A file that holds no usable picture. `reason` is a short phrase without the path."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class CatalogError(PellucidError):
    """A folder from which nothing can be learned; names the class and the count."""


class NetworkError(PellucidError):
    """A network that cannot be read or built: which layer, the formula with its numbers, what would fit."""


class RecipeError(PellucidError):
    """A wrong training setting: its name, the value received, the values allowed."""


class TrainingError(PellucidError):
    """Training that cannot go on: the step, the learning rate, what to try."""


class ArtefactError(PellucidError):
    """A model folder, or known weights, that cannot be used or written."""


class TraceError(PellucidError):
    """The glass box cannot show it: a unit that does not exist, a module without a graph, terms that do not add up."""


class StorageError(PellucidError):
    """A file that cannot be written; nothing half-written is left behind."""


class ExportError(PellucidError):
    """A network that another runtime does not take, or that says something else there: by how much, what to do."""


class ClusterError(PellucidError):
    """A cluster that cannot be reached, or whose machines cannot do the work: which machine, and what to do."""


def nearest(word: str, known: Iterable[str], most: int = 1, cutoff: float = 0.6) -> list[str]:
    """The `most` names most like `word`, the nearest first; `cutoff` (0 to 1) is the least likeness."""
    from difflib import get_close_matches

    return get_close_matches(word, list(known), most, cutoff)


def did_you_mean(word: str, known: Iterable[str], most: int = 1, quoted: bool = False) -> str:
    """ " Did you mean relu?", for the end of a sentence about an unknown `word`; empty if no name is similar.

    `quoted`: for names that may hold spaces, such as classes.
    """
    names = [repr(name) if quoted else name for name in nearest(word, known, most)]
    return f" Did you mean {' or '.join(names)}?" if names else ""


def none_usable(count: int, first: str, reason: str, where: str = "") -> str:
    """That none of `count` pictures can be used, as a sentence; `where` stands behind the word."""
    if count == 1:
        return f"The only picture{where} cannot be used: {first}: {reason}."
    return f"None of the {count:,} pictures{where} can be used; the first is {first}: {reason}."
