"""What can go wrong, each with the exit status that stands for it.

A failure is raised where it is understood and printed in one place (``__main__``), so it names the thing, the place
and the remedy by itself.
"""


class Failure(Exception):
    """A failure that the user can do something about: what is wrong where, and what to do about it.

    ``str()`` of it is the whole message.
    """

    exit_status = 70

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem, remedy)
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.problem}: {self.remedy}" if self.remedy else self.problem


class UsageFailure(Failure):
    """The command line or a setting asks for what does not exist or cannot be done."""

    exit_status = 2


class ProxyUnreachable(Failure):
    """No proxy was found, or the one that was named does not answer in time."""

    exit_status = 3


class KeyRefused(Failure):
    """The proxy answered that the key is missing, wrong or not allowed."""

    exit_status = 4


class NotLiteLLM(Failure):
    """Something answered, but not as LiteLLM does, or without a usable model."""

    exit_status = 5


class ConfigurationUnreadable(Failure):
    """A configuration file of the user's cannot be read."""

    exit_status = 6
