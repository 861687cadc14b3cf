"""What if a weight, a stride, a padding or a pooling were another one: the changes that `Classifier.changed` takes.

    from pellucid.whatif import Stride, Weight

    other = classifier.changed([Weight("conv1.weight", (3, 0, 2, 2), 0.5), Stride("conv2", (1, 1))])
    print(other.predict("picture.jpg").probabilities)

Where the weights do not fit the sizes that a change makes, `changed` raises Unfitting.
"""

from pellucid.glassbox.whatif.change import Change, Padding, Pooling, Setting, Stride, Unfitting, Weight

__all__ = ["Change", "Padding", "Pooling", "Setting", "Stride", "Unfitting", "Weight"]
