"""The debugger behind the Debug Adapter Protocol: what editors speak.

`wire.py` reads and writes messages, `serving.py` serves them over standard streams or a socket, `adapter.py`
answers one client, and `requests/` holds what each request does.
"""
