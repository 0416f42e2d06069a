class CannotStart(Exception):
    """What is in the way and what to do about it, in one line for the user."""
