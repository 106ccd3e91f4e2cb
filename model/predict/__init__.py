"""Predictors with a model: our engine on our model, any causal language model, and servers."""
