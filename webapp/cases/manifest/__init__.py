"""What a client says of its cases, however it was sent: as JSON, as a table, or by the names of files alone."""
