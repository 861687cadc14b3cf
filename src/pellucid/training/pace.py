"""How fast a run goes and what fits into its minutes: plain numbers in, plain numbers out."""


class Speed:
    """Images and seconds a step, a running mean over about twenty steps, so that the time left follows the load."""

    def __init__(self) -> None:
        self.images_per_second = 0.0
        self.seconds_per_step = 0.0

    def note(self, images: int, seconds: float) -> None:
        keep = 0.95 if self.seconds_per_step else 0.0
        self.images_per_second = keep * self.images_per_second + (1 - keep) * images / max(seconds, 1e-9)
        self.seconds_per_step = keep * self.seconds_per_step + (1 - keep) * seconds


RECENT = 0.05  # of the allowed time: so long a mean looks back
JUMP = 5.0  # a step that takes longer than so many times the mean counts as so many times
REPORT_SECONDS = 1.0  # for the card and the files of a model folder, on two cores where no other program runs


def mean_seconds(mean: float, seconds: float, allowed: float) -> float:
    """The mean time of a step after one more of `seconds`, over about the last twentieth of the `allowed` time.

    Other programs come and go, so that old steps say little of those to come; a single slow one says little, too.
    """
    if mean <= 0:
        return seconds
    steps = max(1.0, RECENT * allowed / mean)
    return mean + (min(seconds, JUMP * mean) - mean) / steps


def report_seconds(per_step: float, fastest: float) -> float:
    """The time of the card and the files: as much longer than alone as a step of late is than the fastest one."""
    return REPORT_SECONDS * max(1.0, per_step / fastest) if fastest > 0 else REPORT_SECONDS


def validation_steps(pictures: int, batch: float) -> float:
    """As many training steps as `pictures` take without a gradient, about a third: before it was measured."""
    return pictures / batch / 3


def fitting_steps(left: float, per_step: float, per_validation: float, to_boundary: int, per_epoch: int) -> int:
    """Steps to come that fit into `left` seconds with the validations among them and the one at the end.

    `to_boundary`: steps to the end of this epoch, 1 to `per_epoch`. Where a last, short epoch leaves no time for a
    validation of its own, the one before is left out (`leaves_time`), and the time goes into steps.
    """
    if per_step <= 0:
        return 0 if left <= 0 else to_boundary
    steps = _whole((left - per_validation) / per_step)
    if steps < to_boundary:
        return max(0, steps)
    left -= to_boundary * per_step + per_validation
    epoch = per_epoch * per_step + per_validation
    epochs = _whole(left / epoch)
    left -= epochs * epoch
    more = _whole((left - per_validation) / per_step)
    return to_boundary + epochs * per_epoch + (more if more > 0 else _whole(left / per_step))


def leaves_time(left: float, per_step: float, per_validation: float) -> bool:
    """Whether a validation now leaves time for at least a step and the validation at the end."""
    return left * (1 + 1e-9) >= 2 * per_validation + per_step


def _whole(number: float) -> int:
    """Rounded down, but for what the last digits of a float are off."""
    return int(max(0.0, number) * (1 + 1e-9))
