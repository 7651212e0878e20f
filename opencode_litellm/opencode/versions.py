"""Which version of opencode a program is, and how versions differ: one table for launches, payload, doctor and docs.

A warm launch reads one small file for this: the ``package.json`` behind the program, or the cached answer of
``--version``.
"""

from __future__ import annotations

import os
import time

from opencode_litellm import cache, variables

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

NAMES = ("opencode", "opencode2")  # only version 2 has the second one
ANSWER = "started by opencode-litellm\n"  # printed by a launch that was only started to ask for a version

_DAY, _HOUR = 24 * 3600.0, 3600.0  # seconds that an answer is cached, and that a missing answer is
_PATIENCE = 5.0  # seconds for `--version`; opencode 1.18 takes 1 to 2
_OUR_NAMES = (b"opencode-litellm", b"opencode-with-litellm", b"opencode_litellm")
_LARGEST_TEXT = 64 * 2**10  # bytes of a package.json or a shim; programs are larger
_LOCAL = "local"  # how a build of version 2 calls itself that has no number
_ITSELF = "opencode itself"  # in the cache: the program is no wrapper
_PACKAGES = {"opencode-ai": 1, "@opencode/cli": 2, "@opencode-ai/cli": 2}
_PLATFORMS = ("linux", "darwin", "windows")  # how the names of the packages continue that hold only the program


class Change:
    """A difference between versions of opencode: ``since`` has it first, ``before`` describes the older ones."""

    __slots__ = ("before", "since")

    def __init__(self, since: tuple[int, int, int], before: str) -> None:
        self.since = since
        self.before = before


# Tried with the real programs, `make matrix`; docs/compatibility.md has the same words.
INLINE = Change(
    (1, 0, 0),
    "it supports neither OPENCODE_CONFIG_CONTENT nor a package for a single model: models reach it only in a file, and"
    " those for /v1/responses only under a separate provider",
)
FILE_BELOW_PROJECT = Change((1, 0, 61), "the file in OPENCODE_CONFIG overrides the project's configuration")
CHATS = Change(
    (1, 0, 99), "it installs packages at run time that may no longer work with it: it starts, but usually cannot chat"
)
SHORT_HELP = Change((1, 0, 61), "-h means --hostname")
LIVE_INLINE = Change(
    (1, 2, 11),
    "it does not replace {env:…} and {file:…} in OPENCODE_CONFIG_CONTENT: launches put the key itself there, in the"
    " environment of that one process, and env cannot deliver models that have to go there",
)
CHANGES = (INLINE, FILE_BELOW_PROJECT, CHATS, SHORT_HELP, LIVE_INLINE)

# opencode 1 gives a reasoning model some of these variants by itself; which ones depends on the package of its route
# and on its id. Only `disabled` removes one.
VARIANTS = {
    "chat": ("none", "low", "medium", "high", "max"),
    "responses": ("none", "minimal", "low", "medium", "high", "xhigh"),
}

# What a payload is made for, which decides how it can be handed over.
ONE = "opencode 1"
ONE_LITERALLY = "opencode 1, inline without references"
ONE_BY_FILE = "opencode 1, by file alone"
TWO = "opencode 2, standalone"
SERVER = "opencode 2's server"  # it reads the same file for every launch, from any folder


def _numbers(text: str) -> tuple[int, int, int] | None:
    parts = text.partition("-")[0].partition("+")[0].split(".")
    try:
        first, second, third = (int(part) for part in parts)
    except ValueError:
        return None
    return first, second, third


class Version:
    """A version of opencode: ``text`` is what it calls itself, ``known_by`` how we know that (empty: we do not).

    ``numbers`` decide; ``major`` is 2 for every version that reads its configuration in a background server. The
    program ``may_start_us`` unless it is known to be opencode itself, not a wrapper or shim that could lead back here.
    """

    __slots__ = ("known_by", "major", "may_start_us", "numbers", "text")

    def __init__(self, text: str, major: int, known_by: str = "", *, may_start_us: bool = True) -> None:
        self.text = text
        self.major = major
        self.known_by = known_by
        self.may_start_us = may_start_us
        numbers = _numbers(text)
        # A preview of version 2 has version 1's numbers, and a snapshot of either, 0.0.0, is newer than all others.
        fits = numbers is not None and numbers > (0, 0, 0) and max(numbers[0], 1) == major
        self.numbers = numbers if numbers is not None and fits else (major, 2**31, 0)

    def has(self, change: Change) -> bool:
        """Return whether this version has a change."""
        return self.numbers >= change.since

    @property
    def recipient(self) -> str:
        """What a payload has to be made for if this version reads it from its own environment."""
        if self.major > 1:
            return TWO
        if not self.has(INLINE):
            return ONE_BY_FILE
        return ONE if self.has(LIVE_INLINE) else ONE_LITERALLY

    def __str__(self) -> str:
        return f"opencode {self.text or 'of an unknown version'}"


UNKNOWN = Version("", 1)


def recipient(version: Version, delivery: str, *, reads_variables: bool) -> str:
    """Return what a payload is made for: the opencode of a version, with what ``OPENCODE_LITELLM_DELIVERY`` says.

    ``reads_variables`` tells that what is started reads its own environment, as all of version 1 does.
    """
    return version.recipient if reads_variables and delivery != "managed" else SERVER


def of(program: str, environment: Mapping[str, str], *, ask: bool = True) -> Version:
    """Return the version of the opencode at the path ``program``; `UNKNOWN` if it cannot be told.

    Without ``ask`` the program is not started for it. Its answer is cached for a day at most, because the shim of a
    version manager stays the same when the version behind it changes.
    """
    real = os.path.realpath(program)
    version = _from_package(os.path.join(os.path.dirname(os.path.dirname(real)), "package.json"))
    if version is not None:
        return version
    name = _cache_name(program, real)
    version = _from_cache(name, environment)
    if version is None and name:
        version = _from_shim(real)
        # Version 2 has to be known for certain, because its server keeps the environment that it gets.
        if ask and (version is None or version.major > 1):
            answer = _ask(program, environment)
            version = answer if version is None or answer.known_by else version
        if version is not None:
            cache.write(environment, name, _written(version))
    if version is None or not version.known_by:
        return Version("", 2, "its name") if name_of(program) == "opencode2" else UNKNOWN
    return version


def name_of(program: str) -> str:
    """Return what a program, a name or a path, is called, in lower case and without what Windows adds."""
    return os.path.basename(program).lower().removesuffix(".exe").removesuffix(".cmd")


def _written(version: Version) -> bytes:
    return f"{version.major} {version.text}\n{version.known_by}\n{'' if version.may_start_us else _ITSELF}".encode()


def _from_package(path: str) -> Version | None:
    """Return the version in a ``package.json``, as npm, bun and mise install opencode."""
    text = beginning(path).decode("utf-8", "replace")
    name = _field(text, "name")
    for package, major in _PACKAGES.items():
        platforms = package.removesuffix("-ai") if major == 1 else package
        if name == package or name.startswith(tuple(f"{platforms}-{platform}-" for platform in _PLATFORMS)):
            return Version(_field(text, "version"), major, path, may_start_us=False)
    return None


def _field(text: str, name: str) -> str:
    """Return the first string under ``name`` in JSON; parsing it would cost a launch 10 ms."""
    after = text.partition(f'"{name}"')[2].lstrip()
    value = after[1:].lstrip()
    return value[1:].partition('"')[0] if after[:1] == ":" and value[:1] == '"' else ""


def _cache_name(program: str, real: str) -> str:
    """Return the name of the file with the cached answer of a program; empty if the program does not exist."""
    try:
        status = os.stat(real)
    except OSError:
        return ""
    return cache.VERSION.name(cache.digest([program, real, f"{status.st_size} {status.st_mtime_ns} {status.st_ino}"]))


def _from_cache(name: str, environment: Mapping[str, str]) -> Version | None:
    content = cache.read(environment, name) if name else None
    if content is None:
        return None
    first, _, rest = content.decode("utf-8", "replace").partition("\n")
    known_by, _, wrapper = rest.partition("\n")
    major, _, text = first.partition(" ")
    try:
        age = time.time() - os.stat(cache.path(environment, name)).st_mtime
        version = Version(text, int(major), known_by, may_start_us=wrapper != _ITSELF)
    except (OSError, ValueError):
        return None
    return version if 0 <= age < (_DAY if known_by else _HOUR) else None


def _from_shim(path: str) -> Version | None:
    """Return the version that the text of a small script names, if it names exactly one."""
    data = beginning(path)
    if not data.startswith((b"#!", b"@", b":")):
        return None
    import re  # once a day, and only for scripts

    # As in the paths of pnpm, Nix and Homebrew, and in asdf's comment.
    pattern = re.compile(
        rb"(@opencode[/+]cli@|opencode-ai@|opencode[-/@]v?|asdf-plugin: opencode )(\d+\.\d+\.\d+)(?![\d.]*\d)"
    )
    versions = {(number, b"cli@" in before) for before, number in pattern.findall(data)}
    if len(versions) != 1:
        return None
    number, is_second = versions.pop()
    text = number.decode()
    return Version(text, 2 if is_second else _major(text), path)


def _ask(program: str, environment: Mapping[str, str]) -> Version:
    output = _output(program, environment)
    text = _version_in(output)
    if not text:
        return UNKNOWN
    by_us = ANSWER in output or _names_us(program)
    return Version(text, 2 if text == _LOCAL else _major(text), "--version", may_start_us=by_us)


def _version_in(output: str) -> str:
    """Return the version that a program printed: the last one alone on a line, else the first; empty without any.

    A wrapper may tell of other programs as well, and of addresses.
    """
    import re  # once a day

    number = r"\d+\.\d+\.\d+(?!\.?\d)(?:-[\w.-]+)?"
    alone = rf"^[ \t]*(?:(?:opencode2?|lildax) )?v?({number}|(?<=v){_LOCAL})[ \t\r]*$"
    if versions := re.findall(alone, output, re.MULTILINE):
        return str(versions[-1])
    anywhere = re.search(rf"(?<![\d.])({number})", output) or re.search(rf"\bv({_LOCAL})\b", output)
    return anywhere[1] if anywhere else ""


def _names_us(program: str) -> bool:
    """Return whether the text of a script names us: a wrapper may start us for everything but ``--version``."""
    text = beginning(program)
    return any(name in text for name in _OUR_NAMES)


def beginning(path: str) -> bytes:
    """Return the beginning of a file, enough for any package.json, script or shim; empty if it cannot be read."""
    try:
        with open(path, "rb") as file:
            return file.read(_LARGEST_TEXT)
    except OSError:
        return b""


def command_line(program: str, arguments: Sequence[str], environment: Mapping[str, str]) -> Sequence[str] | str:
    """Return the command line for ``subprocess`` to ask opencode something; OSError if none is safe (Windows)."""
    if os.name == "nt":
        from opencode_litellm import windows  # only on Windows

        return windows.command(program, arguments, environment)[1]
    return [program, *arguments]


def _output(program: str, environment: Mapping[str, str]) -> str:
    """Return the output of ``program --version``; empty if it takes too long or cannot be started."""
    import signal
    import subprocess
    import tempfile

    try:
        # A file instead of a pipe, and a session of its own: a process that the program leaves running cannot block us.
        with tempfile.TemporaryFile() as output:
            process = subprocess.Popen(  # noqa: S603 - what is going to be started
                command_line(program, ["--version"], environment),
                # With these, a wrapper that leads back to us does not ask again, and its output shows that it does.
                env={**environment, variables.ASKED: "1", variables.DISABLE: "1"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            try:
                process.wait(_PATIENCE)
            finally:
                if process.poll() is None:
                    if os.name == "nt":
                        process.kill()
                    else:
                        os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
            output.seek(0)
            return output.read(_LARGEST_TEXT).decode(errors="replace")
    except (OSError, subprocess.SubprocessError):
        return ""


def _major(text: str) -> int:
    """Return 2 for versions with a background server: 2 and later, and their betas, ``0.0.0-…``."""
    numbers = _numbers(text)
    return 2 if numbers is not None and (numbers[0] >= 2 or text.startswith("0.0.0-")) else 1
