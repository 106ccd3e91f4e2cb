"""Predictors with a model behind them: one protocol, whether it runs here, in transformers or on a server."""
