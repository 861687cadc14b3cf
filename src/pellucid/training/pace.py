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


def plan_steps(seconds_per_step: float, allowed: float, train: int, validation: int) -> int:
    """Steps that fit into `allowed` seconds, at least one.

    A validation picture costs about a third of a training picture (no backward).
    """
    return max(1, int(allowed / (seconds_per_step * (1 + validation / train / 3))))


def fitting_steps(step: int, seconds: float, allowed: float) -> int:
    """All steps, `step` done in `seconds` and those to come, that fit into `allowed` seconds at the speed so far."""
    return step + int(max(0.0, allowed - seconds) / (seconds / step))
