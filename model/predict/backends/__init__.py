"""Predictors over whatever continues ids (transformers, servers) or writes the text itself (chats)."""
