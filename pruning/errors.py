"""Errors that a visitor reads: every other error is a fault of the program."""


class ExplainedError(ValueError):
    """The message is a sentence for the visitor: what came, what is accepted and what to do.

    Front ends show it. They log any other error, a plain `ValueError` too, and show only its
    number in the log.
    """


class UnsupportedError(ExplainedError):
    """A method or a model cannot run on this input, although nothing is broken.

    Benchmarks turn this error into a row of their report; every other error stops them.
    """
