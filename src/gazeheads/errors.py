"""Every error a user can cause has this one base class, so that callers catch one thing."""


class GazeheadsError(Exception):
    """A user's mistake, said in one line: what was wrong, what was found, what to do.

    The command line prints the message and exits with code 2.
    """


class GazeheadsWarning(UserWarning):
    """Something a user should know about what was read or made, said in one line.

    The command line prints the message on stderr and goes on.
    """


def named(error: BaseException) -> str:
    """An error of somebody else's code: its type and what it says, in one line."""
    return f"{type(error).__name__}: {one_line(error)}"


def one_line(error: BaseException, longest: int = 200) -> str:
    """What an error says, as one line that a person can read: the beginning of a long one."""
    said = " ".join(str(error).split()) or type(error).__name__
    return said if len(said) <= longest else said[: longest - 3] + "..."
