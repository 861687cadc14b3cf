"""Ops as data: the declaration, its formulas, the evaluator that gives the terms of any number, and every op."""
