"""How LesionLens is run: on one machine without containers (`deploy.local`), and with Docker (`deploy/docker`)."""
