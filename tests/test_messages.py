"""Messages: each says what is wrong, where, and what to do, and none misleads people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from world.certificates import certified
from world.home import configure, global_configuration, write
from world.opencode import Finished, run
from world.server import free_port
from world.stub import MODELS, StubProxy

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = pytest.mark.serves("gpt-4o", "gpt-5")


def tool(environment: Mapping[str, str], *arguments: str) -> Finished:
    return run(["opencode-litellm", *arguments], environment)


def lines(finished: Finished) -> list[str]:
    """Return the messages, without our name."""
    return [line.removeprefix("opencode-litellm: ") for line in finished.stderr.splitlines()]


# The address.


def test_https_at_a_port_for_http_is_told(proxy: StubProxy, home: dict[str, str]) -> None:
    url = proxy.url.replace("http:", "https:")
    done = tool(home, "config", "--url", url)
    assert (done.status, lines(done)) == (3, [f"{url} speaks http, not https: write http:// in the URL of the proxy"])


def test_http_at_a_port_for_https_is_told(tmp_path: Path, home: dict[str, str]) -> None:
    with StubProxy(["gpt-4o"], tls=certified(tmp_path, "IP:127.0.0.1")) as proxy:
        url = proxy.url.replace("https:", "http:")
        done = tool(home, "config", "--url", url)
    assert (done.status, lines(done)) == (3, [f"{url} speaks https, not http: write https:// in the URL of the proxy"])


def test_a_server_that_asks_for_https_in_a_page_is_understood(proxy: StubProxy, home: dict[str, str]) -> None:
    page = b"<html><h1>400 Bad Request</h1>The plain HTTP request was sent to HTTPS port</html>"
    proxy.answer(MODELS, page, status=400, content_type="text/html")
    done = tool(home, "config", "--url", proxy.url)
    assert lines(done) == [f"{proxy.url} speaks https, not http: write https:// in the URL of the proxy"]


@pytest.mark.parametrize("end", ["/v1/models", "/v1/models/", "/v1/chat/completions"])
def test_an_address_of_an_endpoint_is_told(end: str, proxy: StubProxy, home: dict[str, str]) -> None:
    done = tool(home, "config", "--url", proxy.url + end)
    (line,) = lines(done)
    assert done.status == 2
    assert "it must end before the endpoint, so leave out /models or /chat/completions" in line


def test_an_address_made_of_an_unset_variable_is_named(home: dict[str, str]) -> None:
    file = configure(home, baseURL="{env:MY_PROXY}")
    said = (
        f"options.baseURL of provider litellm in {file} is {{env:MY_PROXY}}, and MY_PROXY is not set, so a LiteLLM on"
        " this machine is used instead: set MY_PROXY, or remove the option"
    )
    assert lines(tool(home, "config"))[0] == said
    launched = tool(home, "exec", "--", "sh", "-c", "exit 7")
    assert (launched.status, lines(launched)[0]) == (7, said)


# The key and the other options.


def test_a_key_made_of_an_unset_variable_is_named(proxy: StubProxy, home: dict[str, str]) -> None:
    file = configure(home, baseURL=proxy.url, apiKey="{env:MY_KEY}")
    said = (
        f"options.apiKey of provider litellm in {file} is {{env:MY_KEY}}, and MY_KEY is not set, so LITELLM_API_KEY is"
        " used instead: set MY_KEY, or remove the option"
    )
    done = tool(home | {"LITELLM_API_KEY": "sk-1"}, "config")
    assert (done.status, lines(done)) == (0, [said])
    assert lines(tool(home | {"LITELLM_API_KEY": "sk-1", "MY_KEY": "sk-2"}, "config")) == []


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("baseurl", "baseURL"), ("exludeModels", "excludeModels"), ("api_key", "apiKey")],
)
def test_an_option_with_a_mistake_in_its_name_is_told(
    wrong: str, right: str, proxy: StubProxy, home: dict[str, str]
) -> None:
    file = configure(home, **{"baseURL": proxy.url, wrong: "x"})
    said = f"options.{wrong} of provider litellm in {file} is not an option: did you mean {right}?"
    assert said in lines(tool(home, "config"))


def test_opencode_s_own_options_are_no_mistake(proxy: StubProxy, home: dict[str, str]) -> None:
    times = dict.fromkeys(("timeout", "chunkTimeout", "headerTimeout"), 1)
    words = dict.fromkeys(("enterpriseUrl", "name", "organization"), "x")
    configure(home, baseURL=proxy.url, setCacheKey=True, headers={}, **times, **words)
    assert lines(tool(home, "config")) == []


# A launch.


def test_a_configuration_that_stops_opencode_is_said_to_do_so_alone(home: dict[str, str]) -> None:
    file = write(global_configuration(home), '{"provider": {,}}')
    done = tool(home, "exec", "--", "sh", "-c", "exit 7")
    (line,) = lines(done)
    assert done.status == 7
    assert line.startswith(f"{file}:1:15: ")
    assert line.endswith(": correct it; opencode itself does not start until you do")


def test_without_opencode_nothing_else_is_said(home: dict[str, str]) -> None:
    Path(home["HOME"], "bin", "opencode").unlink(missing_ok=True)
    environment = home | {"OPENCODE_LITELLM_URL": f"http://127.0.0.1:{free_port()}", "PATH": f"{home['HOME']}/bin"}
    done = run([f"{home['HOME']}/bin/opencode-with-litellm"], environment)
    assert (done.status, lines(done)) == (127, ["opencode is not on PATH: install it, or add its folder to PATH"])


# A file.


def test_a_file_that_opencode_never_reads_is_told(user: dict[str, str]) -> None:
    folder = Path(user["XDG_CONFIG_HOME"], "opencode")
    folder.mkdir(parents=True)
    file = folder / "litellm.json"
    said = (
        f"opencode does not read {file}: rename it to config.json, opencode.json or opencode.jsonc, or set"
        f" OPENCODE_CONFIG={file}"
    )
    for _ in range(2):
        done = tool(user, "config", "--output", str(file))
        assert (done.status, lines(done)) == (0, [said])
    assert lines(tool(user | {"OPENCODE_CONFIG": str(file)}, "config", "--output", str(file))) == []
    for read in (folder / "opencode.jsonc", Path(user["HOME"], "dotfiles.json")):
        assert lines(tool(user, "config", "--output", str(read))) == []


def test_check_says_what_differs(proxy: StubProxy, user: dict[str, str]) -> None:
    file = Path(user["HOME"], "kept.json")
    assert tool(user, "config", "--output", str(file), "--check").stderr.endswith("does not exist or cannot be read\n")
    assert tool(user, "config", "--output", str(file)).status == 0
    assert tool(user, "config", "--output", str(file), "--check") == Finished(0, "", "")
    kept = json.loads(file.read_text())
    kept["provider"]["litellm"]["models"]["gpt-4o"]["name"] = "Old"
    kept["provider"]["litellm"]["options"]["baseURL"] = "http://key.example"
    file.write_text(json.dumps(kept))
    proxy.serve(["gpt-4o", "new"])
    done = tool(user, "config", "--output", str(file), "--check")
    assert (done.status, lines(done)) == (
        1,
        [
            f"{file} differs from what the proxies serve now:",
            '~ provider.litellm.models.gpt-4o.name: "Old" → "GPT-4o"',
            "- provider.litellm.models.gpt-5",
            "+ provider.litellm.models.new",
            "~ provider.litellm.options.baseURL",
            "- provider.litellm-responses",
        ],
    )


def test_the_values_of_delivery_are_completed(home: dict[str, str]) -> None:
    completing = {
        "_OPENCODE_LITELLM_COMPLETE": "bash_complete",
        "COMP_WORDS": "opencode-litellm env --delivery in",
        "COMP_CWORD": "3",
    }
    assert tool(home | completing).stdout == "plain,inline\n"
