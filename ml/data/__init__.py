"""Labelled images as one table with one schema, whatever layout they were published in."""
