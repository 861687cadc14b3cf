"""Classify pictures, in any form, with whichever backend answers soonest."""
