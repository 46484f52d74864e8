"""What is published about ${name}; it carries enough to build read models from events alone."""
