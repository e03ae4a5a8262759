"""The error of an input that a method or a model cannot take."""


class UnsupportedError(ValueError):
    """A method or a model cannot run on this input, although nothing is broken.

    The message names what came, what is accepted and what to do. Benchmarks turn this error into a
    row of their report; every other error stops them.
    """
