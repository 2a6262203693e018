"""The networks that can stand in an ensemble, where they start, and their weights as a file."""
