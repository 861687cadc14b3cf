"""For debugging: two models beside each other, a model without one of its filters, what each layer knows."""
