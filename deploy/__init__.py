"""How LesionLens is run: on one machine without containers (`deploy.local`), with Docker (`deploy/docker`), and in
Kubernetes (`deploy/kubernetes`).
"""
