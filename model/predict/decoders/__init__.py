"""What runs a model for the trace engine."""
