"""What can go wrong, each kind with its exit status.

A failure is raised where the problem is understood. It may end a command, become a line of a launch's messages, or
become a check of ``doctor``, so its text names the thing, the place and the remedy by itself.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from opencode_litellm.proxies import ProxyURL


class Failure(Exception):
    """A failure that the user can do something about: ``problem`` says what is wrong where, ``remedy`` what to do.

    ``str()`` of it is the whole message. ``keeps_models`` tells whether the models that a proxy listed before still
    count. Every subclass can be made from a problem alone: if several proxies fail, one failure has all their problems.
    """

    exit_status = 70
    keeps_models = False

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem, remedy)
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.problem}: {self.remedy}" if self.remedy else self.problem


class UsageFailure(Failure):
    """The command line or a setting asks for something that does not exist or cannot be done."""

    exit_status = 2


class ProxyUnreachable(Failure):
    """No proxy was found, or the one that was named does not answer in time."""

    exit_status = 3
    keeps_models = True


class KeyRefused(Failure):
    """The proxy answered that the key is missing, wrong or not allowed."""

    exit_status = 4


class Withheld(Failure):
    """The proxy gives no list of models, but does not clearly refuse the key: the last list is still valid."""

    exit_status = 4
    keeps_models = True


class BudgetSpent(Withheld):
    """The budget of the key, or of its team or user, is spent."""


class GatewayRefused(Withheld):
    """A gateway in front of LiteLLM asks for something other than LiteLLM's key."""


class KeyDoubted(Withheld):
    """LiteLLM answered as some of its versions do to a wrong key, and all of them after a crash."""


class ListNotAllowed(Withheld):
    """The key may use models, but not list them; ``url`` is where the proxy is."""

    def __init__(self, problem: str, remedy: str = "", url: ProxyURL | None = None) -> None:
        super().__init__(problem, remedy)
        self.url = url


class NotLiteLLM(Failure):
    """Something answered, but not as LiteLLM does, or without a usable model."""

    exit_status = 5
    keeps_models = True


class ConfigurationUnreadable(Failure):
    """One of the user's configuration files cannot be read; ``stops_opencode`` tells that opencode cannot start."""

    exit_status = 6

    def __init__(self, problem: str, remedy: str = "", *, stops_opencode: bool = False) -> None:
        super().__init__(problem, remedy)
        self.stops_opencode = stops_opencode
