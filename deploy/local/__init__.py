"""The whole service on one machine, without Docker: `python -m deploy.local serve`.

`process` is one child process, `postgres` and `redis` are servers made of such processes, and `stack` is all of
LesionLens. What they keep lies in `.local/` in the checkout.
"""
