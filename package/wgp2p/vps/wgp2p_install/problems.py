"""Why an installation does not go on."""


class Refused(Exception):
    """What is wrong and what to do, in words for a person; may have several lines."""
