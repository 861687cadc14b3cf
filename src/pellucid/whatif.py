"""What if a weight, a stride, a padding or a pooling were different? The changes that `Classifier.changed` takes.

    from pellucid.whatif import Stride, Weight

    other = classifier.changed([Weight("conv1.weight", (3, 0, 2, 2), 0.5), Stride("conv2", (1, 1))])
    print(other.predict("picture.jpg").probabilities)

If the weights do not fit the sizes after a change, `changed` raises Unfitting.
"""

from pellucid.glassbox.whatif.change import Change, Padding, Pooling, Setting, Stride, Unfitting, Weight

__all__ = ["Change", "Padding", "Pooling", "Setting", "Stride", "Unfitting", "Weight"]
