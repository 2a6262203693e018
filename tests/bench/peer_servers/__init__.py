"""The same bundle behind other servers, each started with the Python of an environment of its own; see
`tests.bench.peers`.
"""
