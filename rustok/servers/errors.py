class ServersError(Exception):
    """An embedded server cannot be started, stopped or used; the message says what to do."""
