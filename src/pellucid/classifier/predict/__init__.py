"""Pictures in whatever form -> predictions, by whatever computes them soonest."""
