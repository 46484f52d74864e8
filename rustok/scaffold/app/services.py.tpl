"""What changes ${name}: a function per use case, one transaction each, with its events."""
