"""The environment variables that are read or written, what they say, and the folders that follow from them."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

# opencode's own, which the user may have set.
CONFIG = "OPENCODE_CONFIG"
CONFIG_CONTENT = "OPENCODE_CONFIG_CONTENT"

# Where LiteLLM's users keep their key; the first one that is set counts.
KEY_VARIABLES = ("LITELLM_API_KEY", "LITELLM_MASTER_KEY", "LITELLM_PROXY_API_KEY")

# What people copy along with a key.
SPACE_AROUND = "has spaces or line breaks around it"
QUOTES_AROUND = "has quotes around it"

# Where LiteLLM's users may say where their proxy is.
PROXY_URL = "LITELLM_PROXY_URL"

# The flags of the commands that ask a proxy, --url and so on.
URL = "OPENCODE_LITELLM_URL"
TIMEOUT = "OPENCODE_LITELLM_TIMEOUT"
DELIVERY = "OPENCODE_LITELLM_DELIVERY"

_SECONDS, _MOST_SECONDS = 5.0, 3600.0  # for everything that is asked

NAMED_MODEL = "OPENCODE_LITELLM_MODEL"  # PROVIDER/MODEL of opencode's command line, for the time of a launch
ANY_MODEL = "*"  # as NAMED_MODEL: any model may be named later, and we cannot tell which

# Switches: the first makes launches do nothing, the others decide what is printed.
DISABLE = "OPENCODE_LITELLM_DISABLE"
QUIET = "OPENCODE_LITELLM_QUIET"
VERBOSE = "OPENCODE_LITELLM_VERBOSE"

# The user's preferences, which beat the options of the same meaning.
DEFAULT_MODEL = "OPENCODE_LITELLM_DEFAULT_MODEL"
SMALL_MODEL = "OPENCODE_LITELLM_SMALL_MODEL"
ONLY = "OPENCODE_LITELLM_ONLY"

# A path list: OPENCODE_PID at the last launch, then the programs that nested launches have started as opencode so far.
LAUNCHED = "OPENCODE_LITELLM_LAUNCHED"
ASKED = "OPENCODE_LITELLM_ASKED"  # set for a program that is started only to tell its version

# What a delivery leaves in opencode's environment beside the payload.
USER_CONTENT = "OPENCODE_LITELLM_USER_CONTENT"  # the user's own inline content, which `env --unset` restores
USER_FILE = "OPENCODE_LITELLM_USER_FILE"  # the output of `config` that a delivery replaces
NO_KEY = "OPENCODE_LITELLM_NO_KEY"  # named in a provider's `env` if its key is not ours to write
DETECTED = "OPENCODE_LITELLM_DETECTED"  # the URLs of proxies that were detected, separated by spaces
_CARRIER = "OPENCODE_LITELLM_HEADER_"  # begins the names of variables that carry a literal secret to opencode


# Where an HTTP proxy may be named, in either case.
HTTP_PROXIES = ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY")

# The hosts that programs ask directly although there is an HTTP proxy. Bun, and so opencode, prefers the second name.
# On Windows both are the same variable.
NO_PROXY = ("NO_PROXY",) if os.name == "nt" else ("NO_PROXY", "no_proxy")
# What the user had there, after a mark: "=" for a value, "-" for none.
USER_NO_PROXY = {name: f"OPENCODE_LITELLM_WAS_{name}" for name in NO_PROXY}
DIRECT = "OPENCODE_LITELLM_DIRECT"  # the hosts that a delivery added to both


def switched_on(environment: Mapping[str, str], name: str) -> bool:
    """Return whether the variable ``name`` is set to anything but an empty string or a word for no."""
    return environment.get(name, "").lower() not in ("", "0", "false", "no", "off")


def seconds(environment: Mapping[str, str]) -> float:
    """Return how many seconds everything that is asked may take; ValueError unless above 0 and up to an hour."""
    value = float(environment.get(TIMEOUT) or _SECONDS)
    if not 0 < value <= _MOST_SECONDS:
        raise ValueError
    return value


def carrier(digest: str) -> str:
    """Return the name of the variable that carries the secret of ``digest``, in hexadecimal digits, to opencode."""
    return f"{_CARRIER}{digest[:12].upper()}"


def is_carrier(name: str) -> bool:
    """Return whether ``name`` is exactly that of a variable that carries a header or key: shells evaluate it."""
    ending = name.removeprefix(_CARRIER)
    return ending not in (name, "") and not set(ending) - set("0123456789ABCDEF")


def changed(environment: Mapping[str, str], changes: Mapping[str, str | None]) -> Mapping[str, str]:
    """Return ``environment`` with ``changes``, in which None removes a variable.

    On Windows the names ignore case, as in ``os.environ`` there, which a plain dict would not.
    """
    if os.name == "nt":
        from opencode_litellm import windows  # only on Windows

        return windows.changed(environment, changes)
    return {name: value for name, value in {**environment, **changes}.items() if value is not None}


def trimmed_keys(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of ``KEY_VARIABLES`` whose value has white space around it, with the value alone.

    opencode would send that space too, and refuse its configuration if it has a line break.
    """
    values = {name: environment.get(name, "") for name in KEY_VARIABLES}
    return {name: value.strip() for name, value in values.items() if value.strip() not in ("", value)}


def is_quoted(value: str) -> bool:
    """Return whether a value has quotes around it that a shell or a file of variables left there."""
    return len(value) > 1 and value[0] == value[-1] and value[0] in "'\""


def own_folder(environment: Mapping[str, str]) -> str:
    """Return the folder of our own settings: the user's templates."""
    return _own(environment, "XDG_CONFIG_HOME", ".config")


def override_folder(environment: Mapping[str, str]) -> str:
    """Return the folder whose files replace the shipped templates of the same names."""
    return os.path.join(own_folder(environment), "templates")


def cache_folder(environment: Mapping[str, str]) -> str:
    """Return the folder of our cache."""
    return _own(environment, "XDG_CACHE_HOME", ".cache")


def data_folder(environment: Mapping[str, str]) -> str:
    """Return the folder of the snippets that startup files read."""
    return _own(environment, "XDG_DATA_HOME", os.path.join(".local", "share"))


def state_folder(environment: Mapping[str, str]) -> str:
    """Return the folder of our log."""
    return _own(environment, "XDG_STATE_HOME", os.path.join(".local", "state"))


def _own(environment: Mapping[str, str], variable: str, default: str) -> str:
    """Return a folder of ours, the same one from every working folder.

    A relative path would be another folder in each project. The XDG specification says to ignore one.
    """
    base = environment.get(variable) or ""
    if not os.path.isabs(base):
        folder = home(environment)
        base = os.path.join(folder if os.path.isabs(folder) else _account_home(), default)
    return os.path.join(base, "opencode-litellm")


def home(environment: Mapping[str, str]) -> str:
    """Return the folder that ``~`` stands for in opencode's configuration."""
    if folder := environment.get("USERPROFILE" if sys.platform == "win32" else "HOME"):
        return folder
    return _account_home()


def _account_home() -> str:
    """Return the home that the system has for this user, whatever the environment says."""
    if sys.platform == "win32":
        return os.path.expanduser("~")
    import pwd  # hardly ever needed, and not there on Windows

    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:  # a container's user that has neither a name nor HOME
        return os.sep


def xdg(environment: Mapping[str, str], variable: str, default: str, *names: str) -> str:
    """Return ``names`` below the folder in ``variable``, or below ``default`` in the home."""
    base = environment.get(variable) or os.path.join(home(environment), default)
    return os.path.join(base, *names)
