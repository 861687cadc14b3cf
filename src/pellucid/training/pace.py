"""The speed of a run and what fits into its minutes: plain numbers in, plain numbers out."""


class Speed:
    """Images and seconds per step, a running mean over about twenty steps: the time left follows the load."""

    def __init__(self) -> None:
        self.images_per_second = 0.0
        self.seconds_per_step = 0.0

    def note(self, images: int, seconds: float) -> None:
        keep = 0.95 if self.seconds_per_step else 0.0
        self.images_per_second = keep * self.images_per_second + (1 - keep) * images / max(seconds, 1e-9)
        self.seconds_per_step = keep * self.seconds_per_step + (1 - keep) * seconds


RECENT = 0.05  # of the allowed time: the span of the running mean
JUMP = 5.0  # a slower step counts as this many times the mean
REPORT_SECONDS = 1.0  # for the card and the files of a model folder, on two cores without other programs


def mean_seconds(mean: float, seconds: float, allowed: float) -> float:
    """The mean time of a step after one more of `seconds`, over about the last twentieth of the `allowed` time.

    Other programs come and go, so old steps predict little, and so does a single slow one.
    """
    if mean <= 0:
        return seconds
    steps = max(1.0, RECENT * allowed / mean)
    return mean + (min(seconds, JUMP * mean) - mean) / steps


def report_seconds(per_step: float, fastest: float) -> float:
    """The time for the card and the files: longer than alone by the ratio of the recent to the fastest step."""
    return REPORT_SECONDS * max(1.0, per_step / fastest) if fastest > 0 else REPORT_SECONDS


def validation_steps(pictures: int, batch: float) -> float:
    """The number of training steps that take as long as validating `pictures`, about a third: an initial guess."""
    return pictures / batch / 3


def fitting_steps(left: float, per_step: float, per_validation: float, to_boundary: int, per_epoch: int) -> int:
    """Steps that fit into `left` seconds together with the validations among them and the one at the end.

    `to_boundary`: steps to the end of this epoch, 1 to `per_epoch`. If a last, short epoch leaves no time for its own
    validation, the validation before it is left out (`leaves_time`), and its time goes into steps.
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
    """Rounded down, but tolerating floating-point error in the last digits."""
    return int(max(0.0, number) * (1 + 1e-9))
