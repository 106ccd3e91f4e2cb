"""Which reading of CWM's format a model finds likeliest, and whether a text survives parsing."""
