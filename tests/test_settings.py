"""What options mean, where headers go, and that no secret is written or printed anywhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from world.config_endpoint import ConfigEndpoint
from world.handover import ENV, EXEC, asked, handed_over
from world.home import configure, global_configuration, write
from world.litellm import LiteLLM
from world.opencode import run
from world.server import free_port
from world.stub import StubProxy

from opencode_litellm.launch import record
from opencode_litellm.opencode import configuration
from opencode_litellm.settings import sections
from opencode_litellm.shells.formats import FORMATS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from world.opencode import Opencode
    from world.upstream import Upstream

pytestmark = pytest.mark.serves("gpt-4o", "o3")


@pytest.fixture
def environment(home: dict[str, str]) -> dict[str, str]:
    return {**home, "OPENAI_API_KEY": "sk-of-openai"}


def payload(environment: dict[str, str], *flags: str) -> dict[str, Any]:
    finished = run(["opencode-litellm", "config", *flags], environment)
    assert finished.status == 0, finished
    found: dict[str, Any] = json.loads(finished.stdout)["provider"]
    return found


# opencode puts what a variable holds into the text of its configuration, and looks for {file:} there afterwards.
ODD = 'a="b"; c=\\d; {file:/etc/hostname}'
HEADERS = {
    "x-from-variable": "of the variable",
    "x-from-file": "of the file",
    "x-plain": "plain",
    "x-secret-by-name": ODD,
    "x-by-its-value": "550e8400-e29b-41d4-a716-446655440000",
    "x-own": "own",
    "x-own-token": "own secret",
    "x-litellm-tags": "blue,team-7",
}


def with_headers(environment: dict[str, str], proxy: StubProxy, **options: Any) -> dict[str, str]:
    write(Path(environment["XDG_CONFIG_HOME"], "opencode", "header"), "of the file\n")
    file = configure(
        environment,
        baseURL=f"{proxy.url}/v1",
        apiKey="{env:KEY}",
        customHeaders={
            "X-From-Variable": "of {env:HEADER}",
            "X-From-File": "{file:./header}",
            "X-Plain": "plain",
            "X-Secret-By-Name": ODD,
            "X-By-Its-Value": HEADERS["x-by-its-value"],
            "X-Own": "of customHeaders, which has less to say",
        },
        headers={"X-Own": "own", "X-Own-Token": "own secret"},
        tags=["{env:COLOUR}", "team-7"],
        **options,
    )
    file.write_text(file.read_text().replace("{file:/etc", "\\u007bfile:/etc"))
    return {**environment, "KEY": "sk-key", "HEADER": "the variable", "COLOUR": "blue"}


@pytest.mark.drawn(1)
@pytest.mark.usefixtures("opencode")
@pytest.mark.parametrize("style", ["sibling", "inline"])
def test_headers_are_in_every_request(style: str, environment: dict[str, str], proxy: StubProxy) -> None:
    environment = with_headers(environment, proxy, responsesProvider=style)
    folder = Path(environment["HOME"])
    handed_over(EXEC, environment, folder)
    after = handed_over(EXEC, environment, folder)  # the second one asks over a bare socket
    with ConfigEndpoint(after) as endpoint:
        endpoint.prompt(folder, "litellm/gpt-4o", "hi")
        endpoint.prompt(folder, f"litellm{'-responses' if style == 'sibling' else ''}/o3", "hi")
    paths = set(proxy.paths())
    assert paths == {
        "/v1/models",
        "/v1/model/info",
        "/model_group/info",
        "/key/info",
        "/v1/chat/completions",
        "/v1/responses",
    }
    for request in proxy.requests:
        assert request.key == "sk-key"
        assert {name: request.headers.get(name) for name in HEADERS} == HEADERS, request


def test_a_payload_repeats_references_and_tags_only(environment: dict[str, str], proxy: StubProxy) -> None:
    environment = with_headers(environment, proxy)
    found = payload(environment)
    carried = {
        name: value
        for name, value in found["litellm-responses"]["options"]["headers"].items()
        if "OPENCODE_LITELLM_HEADER_" in value
    }
    assert set(carried) == {"X-Plain", "X-Secret-By-Name", "X-By-Its-Value", "X-Own", "X-Own-Token"}
    assert len(set(carried.values())) == 5
    plain = {
        "X-From-Variable": "of {env:HEADER}",
        "X-From-File": f"{{file:{environment['XDG_CONFIG_HOME']}/opencode/header}}",
        "x-litellm-tags": "{env:COLOUR},team-7",
    }
    # The main provider has its own `headers` already.
    main = {name: value for name, value in carried.items() if not name.startswith("X-Own")}
    assert found["litellm"]["options"]["headers"] == {**main, **plain}
    assert found["litellm-responses"]["options"]["headers"] == {**carried, **plain}
    launched = handed_over(EXEC, environment, Path(environment["HOME"]))
    assert {launched[value[len("{env:") : -1]] for value in carried.values()} == {
        "a=\\\"b\\\"; c=\\\\d; \\u007bfile:/etc/hostname}",
        HEADERS["x-by-its-value"],
        "plain",
        "own",
        "own secret",
    }


def test_env_prints_no_secret_and_says_what_to_set(environment: dict[str, str], proxy: StubProxy) -> None:
    configure(environment, baseURL=proxy.url, customHeaders={"X-Key": "shh"})
    finished = asked(ENV, environment, Path(environment["HOME"]))
    variable = next(word for word in finished.stderr.split() if word.startswith("OPENCODE_LITELLM_HEADER_"))
    assert finished.stderr == (
        "opencode-litellm: options.customHeaders.X-Key of provider litellm is a literal value in the configuration, so"
        f" it is not printed: set {variable} to this value, or start opencode-with-litellm\n"
    )
    followed = asked(ENV, {**environment, variable: "shh"}, Path(environment["HOME"]))
    assert (followed.stdout, followed.stderr) == (finished.stdout, "")
    other = asked(ENV, {**environment, variable: "of another project"}, Path(environment["HOME"]))
    assert json.loads(other.stdout)[variable] is None


def test_two_providers_never_share_a_variable(
    environment: dict[str, str], stub_proxy: Callable[..., StubProxy]
) -> None:
    """``litellm`` with ``a-key`` and ``litellm-a`` with ``key`` would, with a name made of the two."""
    secrets = {"litellm": ("a-key", "first"), "litellm-a": ("key", "second")}
    proxies = {provider: stub_proxy(["gpt-4o"]) for provider in secrets}
    sections = {
        provider: {"options": {"baseURL": proxies[provider].url, "customHeaders": {name: secret}}}
        for provider, (name, secret) in secrets.items()
    }
    write(global_configuration(environment), {"$schema": "x", "provider": sections})
    after = handed_over(EXEC, environment, Path(environment["HOME"]))
    for provider, section in json.loads(after["OPENCODE_CONFIG_CONTENT"])["provider"].items():
        name, secret = secrets[provider]
        assert after[section["options"]["headers"][name][len("{env:") : -1]] == secret
        assert {request.headers[name] for request in proxies[provider].requests} == {secret}


def test_a_sibling_whose_models_are_all_the_user_s_own_is_connected(
    environment: dict[str, str], stub_proxy: Callable[..., StubProxy], opencode: Opencode
) -> None:
    proxy = stub_proxy(["gpt-4o", "o3"], key="sk-key")
    options = {"baseURL": f"{proxy.url}/v1", "apiKey": "{env:KEY}"}
    sections = {
        "litellm": {"name": "{env:TEAM} of ours", "options": options},
        "litellm-responses": {"models": {"o3": {"name": "Mine"}}},
    }
    write(global_configuration(environment), {"$schema": "x", "provider": sections})
    home = Path(environment["HOME"])
    after = handed_over(EXEC, {**environment, "KEY": "sk-key", "TEAM": "Blue"}, home)
    sibling = opencode.debug_config(after, home)["provider"]["litellm-responses"]
    assert (sibling["name"], sibling["models"]) == ("Blue of ours (Responses)", {"o3": {"name": "Mine"}})
    with ConfigEndpoint(after) as endpoint:
        endpoint.prompt(home, "litellm-responses/o3", "hi")
    inference = {(request.path, request.key) for request in proxy.requests if request.method == "POST"}
    assert inference == {("/v1/responses", "sk-key")}


@pytest.mark.usefixtures("opencode")
def test_tags_choose_a_deployment_of_the_real_litellm(
    environment: dict[str, str], tmp_path: Path, upstream: Upstream
) -> None:
    deployments = [
        {
            "model_name": "gpt-4o",
            "litellm_params": {
                "model": f"openai/{tag}-model",
                "api_base": "os.environ/STAND_IN_URL",
                "api_key": "x",
                "tags": [tag],
            },
        }
        for tag in ("blue", "red")
    ]
    catalogue = {"model_list": deployments, "router_settings": {"enable_tag_filtering": True}}
    with LiteLLM(tmp_path, upstream.root, catalogue=write(tmp_path / "tags.yaml", catalogue)) as proxy:
        configure(environment, baseURL=proxy.url, apiKey="{env:KEY}", tags="red")
        after = handed_over(EXEC, {**environment, "KEY": proxy.key}, Path(environment["HOME"]))
        before = len(upstream.inferences())
        with ConfigEndpoint(after) as endpoint:
            endpoint.prompt(Path(environment["HOME"]), "litellm/gpt-4o", "hi")
    assert {request.json["model"] for request in upstream.inferences()[before:]} == {"red-model"}


SECRETS = {
    "literal": "sk-literal-0123",
    "half": "half-of-a-literal",
    "file": "sk-of-the-file",
    "variable": "sk-of-the-variable",
    "stored": "sk-of-auth-json",
    "header": "secret-of-a-header",
    "own-header": "secret-of-users-header",
    "broken": "sk-in two",
    "password": "pa55word",
}


def leaks(folder: Path, mine: set[Path]) -> list[tuple[str, str]]:
    """Return where a secret stands below ``folder``, but for the files that the test wrote."""
    return [
        (str(path), name)
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and path not in mine
        for name, secret in SECRETS.items()
        if secret.encode() in path.read_bytes() or secret.split(" ")[0].encode() in path.read_bytes()
    ]


def test_no_secret_is_written_or_printed(environment: dict[str, str], stub_proxy: Callable[..., StubProxy]) -> None:
    home = Path(environment["HOME"])
    right = stub_proxy(["gpt-4o", "o3"])
    echo = stub_proxy(["gpt-4o"])
    everything = " ".join(SECRETS.values())
    echo.answer("/v1/models", {"error": {"message": everything, "type": everything}}, status=401)
    html = stub_proxy()
    html.answer("/v1/models", everything.encode())
    onward = stub_proxy()
    onward.redirect("/v1/models", f"http://{SECRETS['password']}.invalid/{SECRETS['literal']}")
    mine = {
        write(home / ".config/opencode/key", SECRETS["file"]),
        write(home / ".local/share/opencode/auth.json", {"litellm-e": {"type": "api", "key": SECRETS["stored"]}}),
    }
    environment |= {"VARIABLE": SECRETS["variable"], "BROKEN": SECRETS["broken"].replace(" ", "\n"), "REST": "rest"}
    headers = {"customHeaders": {"X-Key": SECRETS["header"]}, "headers": {"Cookie": SECRETS["own-header"]}}
    keys = {
        "litellm-a": SECRETS["literal"],
        "litellm-b": f"{SECRETS['half']}-{{env:REST}}",
        "litellm-c": "{file:./key}",
        "litellm-d": "{env:VARIABLE}",
        "litellm-e": None,
        "litellm-f": "{env:BROKEN}",
    }
    for proxy in (right, echo, html, onward, None):
        url = proxy.url if proxy else f"http://127.0.0.1:{free_port()}"
        sections = {
            provider: {"options": {"baseURL": url, **({"apiKey": key} if key else {}), **headers}}
            for provider, key in keys.items()
        }
        sections["litellm-g"] = {"options": {"baseURL": f"http://me:{SECRETS['password']}@localhost:1/v1"}}
        mine.add(
            write(home / ".config/opencode/opencode.json", {"$schema": "x", "provider": sections}),
        )
        commands = [
            ["config"],
            ["models"],
            ["refresh"],
            ["env", "json"],
            ["exec", "--", "true"],
            ["exec", "--", "true"],
        ]
        if proxy is right:
            commands += [["env", name] for name in FORMATS]
            commands += [["env", "json", "--delivery", "file"], ["exec", "--delivery", "inline", "--", "true"]]
        if proxy is None:
            commands += [["config", "--url", f"http://me:{SECRETS['password']}@localhost"], ["config", "--verbose"]]
        for command in commands:
            flags = ["--verbose"] if "--" not in command and "--verbose" not in command else []
            finished = run(["opencode-litellm", *command, *flags], environment)
            printed = finished.stdout + finished.stderr
            assert [name for name, secret in SECRETS.items() if secret in printed] == [], (command, printed)
            assert "sk-in" not in printed
            assert "Traceback" not in printed
        assert leaks(home, mine) == []


INVALID_OPTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "transport": (
        {"transport": "grpc"},
        "options.transport of provider litellm in FILE is \"grpc\", so 'auto' is used:"
        " choose auto, chat, responses",
    ),
    "responsesProvider": (
        {"responsesProvider": 7},
        "options.responsesProvider of provider litellm in FILE is 7, so 'auto' is used:"
        " choose auto, sibling, inline",
    ),
    "includeModels": (
        {"includeModels": {"a": 1}},
        "options.includeModels of provider litellm in FILE is {\"a\": 1}, and only the strings in it are used:"
        " write a list of strings",
    ),
    "tags": (
        {"tags": ["blue", "été"]},
        'options.tags of provider litellm in FILE is ["blue", "été"], so no tags are sent: write a list of ASCII words',
    ),
    "modelCapabilities": (
        {"modelCapabilities": {"gpt-4o": True}},
        'options.modelCapabilities of provider litellm in FILE is {"gpt-4o": true}, and only the objects in it are'
        ' used: map model ids to objects such as {"supports_vision": true}',
    ),
    "a misspelt capability": (
        {"modelCapabilities": {"gpt-4o": {"suports_vision": True, "max_input_tokens": "lots", "mode": None}}},
        "options.modelCapabilities of provider litellm in FILE has values that are ignored (gpt-4o.suports_vision is"
        ' true, gpt-4o.max_input_tokens is "lots"): check the spelling and the type against LiteLLM\'s model_info',
    ),
    "a declaration in quotes": (
        {"litellm": "true"},
        'options.litellm of provider litellm in FILE is "true", so it has no effect: write true or false,'
        " without quotes",
    ),
    "headers as a text": (
        {"customHeaders": "X-A: b"},
        "options.customHeaders of provider litellm in FILE is ignored: write an object that maps header names to"
        " values",
    ),
    "customHeaders": (
        {"customHeaders": {"X-Two": "a\nb"}},
        "options.customHeaders.X-Two of provider litellm in FILE is ignored: write a valid header name and one line"
        " of ASCII text",
    ),
}


@pytest.mark.parametrize("name", INVALID_OPTIONS)
def test_an_option_that_cannot_be_meant_is_named_and_falls_back(
    name: str, environment: dict[str, str], proxy: StubProxy
) -> None:
    options, expected = INVALID_OPTIONS[name]
    file = configure(environment, baseURL=proxy.url, **options)
    for how in (EXEC, ENV):
        finished = asked(how, environment, Path(environment["HOME"]))
        assert finished.status == 0
        assert finished.stderr == f"opencode-litellm: {expected.replace('FILE', str(file))}\n"


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("ftp://x", "it must begin with http:// or https://"),
        ("http://", "it has no host"),
        ("http://h:99999", "its port is not a number below 65536"),
        ("http://me:pa55@h", "it must not hold a user name or password"),
        ("litellm", "it must begin with http:// or https://"),
    ],
)
def test_an_address_that_is_none_costs_its_own_provider_only(
    value: str, why: str, environment: dict[str, str], proxy: StubProxy
) -> None:
    file = configure(environment, "litellm-bad", baseURL=value)
    expected = f"options.baseURL of provider litellm-bad in {file} is not a valid proxy URL ({why}"
    alone = run(["opencode-litellm", "config"], environment)
    assert (alone.status, alone.stdout) == (2, "")
    assert expected in alone.stderr
    launched = asked(EXEC, environment, Path(environment["HOME"]))
    assert launched.status == 0
    assert expected in launched.stderr

    sections = {"litellm": {"options": {"baseURL": proxy.url}}, "litellm-bad": {"options": {"baseURL": value}}}
    write(file, {"$schema": "x", "provider": sections})
    beside = run(["opencode-litellm", "config"], environment)
    assert list(json.loads(beside.stdout)["provider"]) == ["litellm", "litellm-responses"]
    assert expected in beside.stderr


@pytest.mark.parametrize(
    ("variable", "value"),
    [("OPENCODE_LITELLM_TIMEOUT", "soon"), ("OPENCODE_LITELLM_DELIVERY", "pigeon"), ("OPENCODE_LITELLM_URL", "x:y")],
)
def test_a_variable_that_cannot_be_meant_stops_a_command_and_no_launch(
    variable: str, value: str, environment: dict[str, str]
) -> None:
    environment = {**environment, variable: value}
    finished = run(["opencode-litellm", "config"], environment)
    assert (finished.status, finished.stdout) == (2, "")
    assert variable in finished.stderr
    # What should be an address and is none may be a key.
    assert (value in finished.stderr) is (variable != "OPENCODE_LITELLM_URL")
    launched = asked(EXEC, environment, Path(environment["HOME"]))
    assert launched.status == 0
    assert variable in launched.stderr


@pytest.mark.usefixtures("opencode")
def test_an_address_may_be_made_of_variables_as_in_opencode(
    environment: dict[str, str], stub_proxy: Callable[..., StubProxy]
) -> None:
    """Opencode 1.18 replaces ``${NAME}`` in a baseURL when it connects."""
    first, second = stub_proxy(["first"]), stub_proxy(["second"])
    configure(environment, baseURL="http://127.0.0.1:${PORT}/v1", apiKey="{env:KEY}", responsesApiModels=["second"])
    environment["KEY"] = "sk-key"
    folder = Path(environment["HOME"])
    handed_over(EXEC, {**environment, "PORT": str(first.port)}, folder)
    assert "/v1/models" in first.paths()
    after = handed_over(EXEC, {**environment, "PORT": str(second.port)}, folder)
    with ConfigEndpoint(after) as endpoint:
        endpoint.prompt(folder, "litellm-responses/second", "hi")
    assert [request.key for request in second.inferences()] == ["sk-key"]


def test_a_configuration_that_cannot_be_read_starts_opencode_plainly(
    environment: dict[str, str], proxy: StubProxy
) -> None:
    file = write(global_configuration(environment), '{\n  "provider": {,}\n}')
    environment["OPENCODE_LITELLM_URL"] = proxy.url
    for command in (["config"], ["env", "json"], ["models"]):
        finished = run(["opencode-litellm", *command], environment)
        assert (finished.status, finished.stdout) == (6, "")
        assert f"{file}:2:16: " in finished.stderr
    launched = asked(EXEC, environment, Path(environment["HOME"]))
    assert launched.status == 0
    assert "OPENCODE_CONFIG" not in launched.stdout
    assert launched.stderr.count("\n") == 1
    assert proxy.requests == []


class Watched(dict[str, str]):
    """An environment that knows which variables were asked for."""

    def __init__(self, values: Mapping[str, str]) -> None:
        super().__init__(values)
        self.names: set[str] = set()

    def __contains__(self, name: object) -> bool:
        self.names.add(str(name))
        return super().__contains__(name)

    def __getitem__(self, name: str) -> str:
        self.names.add(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        self.names.add(name)
        return super().get(name, default)


def test_a_variable_that_the_settings_depend_on_is_one_that_a_record_depends_on(tmp_path: Path) -> None:
    alone = {"HOME": str(tmp_path)}
    watched = Watched(alone)
    parsed = sections.parse(watched, configuration.read(watched, str(tmp_path)))
    before = record.Circumstances.of(alone, str(tmp_path)).fingerprint
    unnoticed = {
        name for name in watched.names - parsed.variables
        if record.Circumstances.of({**alone, name: "/elsewhere"}, str(tmp_path)).fingerprint == before
    }  # fmt: skip
    assert unnoticed == {"OPENCODE_LITELLM_TIMEOUT"}, "a warm launch would not see it: record._VARIABLES"
