"""Labelled images as one table with one schema, whatever layout they were published in: `read` a folder."""

from ml.data.reading import read

__all__ = ["read"]
