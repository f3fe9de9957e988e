"""A web page that shows what runs make of a video: `answer.py` looks at it, `server.py` listens."""
