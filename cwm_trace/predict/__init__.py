"""Predicting executions: the protocol, the modes, who predicts under which name, and floors without a model.

A prediction goes one way, whoever makes it: a `Request` (protocol) in a mode (modes) becomes a `Plan` of
segments (plan), a `Writer` writes what is predicted for each, and the driver puts that into a trace (driver).
"""
