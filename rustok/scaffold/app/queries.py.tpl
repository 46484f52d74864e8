"""What is read of ${name}."""
