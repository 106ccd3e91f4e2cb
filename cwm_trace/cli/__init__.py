"""The command line: one thin file per command, which parses and calls."""
