"""The clinic's API: batches, images, cases."""
