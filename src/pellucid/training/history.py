"""The history of a training: how each epoch ended, which was the best, and the same as CSV."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Epoch:
    """One finished epoch. `best`: by `is_best` no earlier epoch was as good. Class weights count in both losses."""

    epoch: int  # 0: the head on the frozen backbone, before the first step
    steps: int
    train_loss: float
    train_accuracy: float
    validation_loss: float | None
    validation_accuracy: float | None
    learning_rate: float
    seconds: float
    best: bool


def is_best(history: list[Epoch], accuracy: float | None, loss: float | None) -> bool:
    """More accurate on the validation pictures than every earlier epoch, or as accurate with a smaller loss.

    Without validation it is the last epoch, except that a head on known weights stays: nothing shows that more training
    is better. If few pictures validate, the loop replaces the head only by a clearly better one (loop.end_epoch).
    """
    if loss is None:
        return not history or history[0].epoch > 0
    bests = [epoch for epoch in history if epoch.best]
    if not bests:
        return True
    last = bests[-1]
    assert last.validation_loss is not None
    if accuracy is None:  # with several labels an exact match is too rare to choose by; class weights are in the loss
        return loss < last.validation_loss
    assert last.validation_accuracy is not None
    return (accuracy, -loss) > (last.validation_accuracy, -last.validation_loss)


def as_csv(history: list[Epoch]) -> str:
    """The epochs as CSV, a header and a line each; an empty field if there was no validation."""
    names = [name for name in Epoch.__dataclass_fields__ if name != "best"]
    lines = [",".join([*names, "best"])]
    for epoch in history:
        values = asdict(epoch)
        lines.append(",".join("" if values[n] is None else f"{values[n]:.6g}" for n in names) + f",{int(epoch.best)}")
    return "\n".join(lines) + "\n"
