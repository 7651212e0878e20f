"""A stand-in for a model vendor: OpenAI's chat completions and responses, streamed or not, on loopback.

It answers ``text``. A user message that holds ``call TOOL NAME=VALUE`` makes it call that tool with that
argument, when the request offers it; the answer to the tool's result is ``text`` again.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from .server import Request, Server, send, send_json

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator
    from http.server import BaseHTTPRequestHandler

# opencode puts a prompt with spaces into quotes, hence no quotes in here.
_CALL = re.compile(r'call (\w+) (\w+)=([^\s"]+)')
_CREATED = 1_700_000_000
_USAGE_CHAT = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
_USAGE_RESPONSES = {
    "input_tokens": 5,
    "input_tokens_details": {"cached_tokens": 0},
    "output_tokens": 2,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 7,
}


class Upstream(Server):
    """Answers chat completions and responses, with and without ``/v1`` before them."""

    def __init__(
        self, port: int = 0, *, text: str = "hello from upstream", tls: ssl.SSLContext | None = None
    ) -> None:
        super().__init__(port, tls=tls)
        self.text = text

    def answer_to(self, request: Request, connection: BaseHTTPRequestHandler) -> None:
        """Answer an inference request; anything else is a 404."""
        path = request.path.removeprefix("/v1")
        if request.method == "POST" and path == "/chat/completions":
            _answer(connection, request.json, self._chat(request.json), _chat_events)
        elif request.method == "POST" and path == "/responses":
            _answer(connection, request.json, self._responses(request.json), _responses_events)
        else:
            send_json(connection, {"error": {"message": "Not Found", "code": 404}}, status=404)

    def inferences(self, model: str | None = None) -> list[Request]:
        """Return the inference requests so far, all of them or those for one model."""
        return [
            request
            for request in self.requests
            if request.method == "POST"
            and request.path.endswith(("/chat/completions", "/responses"))
            and model in (None, request.json["model"])
        ]

    def _chat(self, asked: dict[str, Any]) -> dict[str, Any]:
        last = asked["messages"][-1]
        offered = {tool["function"]["name"] for tool in asked.get("tools") or ()}
        call = _wanted_call(last, offered)
        message: dict[str, Any] = {"role": "assistant", "content": self.text}
        if call:
            function = {"name": call[0], "arguments": call[1]}
            message = {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "call_1", "type": "function", "function": function}],
            }
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if call else "stop"}
        return {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": _CREATED,
            "model": asked["model"],
            "choices": [choice],
            "usage": _USAGE_CHAT,
        }

    def _responses(self, asked: dict[str, Any]) -> dict[str, Any]:
        given = asked["input"]
        last = {"role": "user", "content": given} if isinstance(given, str) else given[-1]
        offered = {tool.get("name") for tool in asked.get("tools") or ()}
        call = _wanted_call(last, offered)
        content = {"type": "output_text", "text": self.text, "annotations": [], "logprobs": []}
        item: dict[str, Any] = {
            "id": "msg_1",
            "type": "message",
            "status": "completed",
            "role": "assistant",
            "content": [content],
        }
        if call:
            item = {
                "id": "fc_1",
                "type": "function_call",
                "status": "completed",
                "call_id": "call_1",
                "name": call[0],
                "arguments": call[1],
            }
        return {
            "id": "resp_1",
            "object": "response",
            "created_at": _CREATED,
            "status": "completed",
            "error": None,
            "incomplete_details": None,
            "instructions": None,
            "max_output_tokens": None,
            "metadata": {},
            "model": asked["model"],
            "output": [item],
            "parallel_tool_calls": True,
            "previous_response_id": None,
            "reasoning": {"effort": None, "summary": None},
            "store": False,
            "temperature": 1.0,
            "text": {"format": {"type": "text"}},
            "tool_choice": "auto",
            "tools": [],
            "top_p": 1.0,
            "truncation": "disabled",
            "usage": _USAGE_RESPONSES,
            "user": None,
        }


def _wanted_call(message: dict[str, Any], offered: set[str]) -> tuple[str, str] | None:
    if message.get("role") != "user":
        return None
    content = message["content"]
    text = content if isinstance(content, str) else " ".join(part.get("text", "") for part in content)
    found = _CALL.search(text)
    return (found[1], json.dumps({found[2]: found[3]})) if found and found[1] in offered else None


def _answer(
    connection: BaseHTTPRequestHandler, asked: dict[str, Any], whole: dict[str, Any], events: Any
) -> None:
    if not asked.get("stream"):
        send_json(connection, whole)
        return
    lines = "".join(f"{event}\n\n" for event in events(whole))
    send(connection, lines.encode(), content_type="text/event-stream")


def _chat_events(whole: dict[str, Any]) -> Iterator[str]:
    message = whole["choices"][0]["message"]
    delta = dict(message)
    if "tool_calls" in message:
        delta["tool_calls"] = [{"index": 0, **message["tool_calls"][0]}]
    common = {key: whole[key] for key in ("id", "created", "model")} | {"object": "chat.completion.chunk"}
    finish = whole["choices"][0]["finish_reason"]
    for choices, usage in (
        ([{"index": 0, "delta": delta, "finish_reason": None}], None),
        ([{"index": 0, "delta": {}, "finish_reason": finish}], None),
        ([], whole["usage"]),
    ):
        yield f"data: {json.dumps({**common, 'choices': choices, 'usage': usage})}"
    yield "data: [DONE]"


def _responses_events(whole: dict[str, Any]) -> Iterator[str]:
    item = whole["output"][0]
    begun = {**whole, "status": "in_progress", "output": [], "usage": None}
    place = {"item_id": item["id"], "output_index": 0}
    if item["type"] == "message":
        part = item["content"][0]
        inside = {**place, "content_index": 0}
        empty = {**item, "status": "in_progress", "content": []}
        steps = [
            ("content_part.added", {**inside, "part": {**part, "text": ""}}),
            ("output_text.delta", {**inside, "delta": part["text"], "logprobs": []}),
            ("output_text.done", {**inside, "text": part["text"], "logprobs": []}),
            ("content_part.done", {**inside, "part": part}),
        ]
    else:
        empty = {**item, "status": "in_progress", "arguments": ""}
        steps = [
            ("function_call_arguments.delta", {**place, "delta": item["arguments"]}),
            ("function_call_arguments.done", {**place, "name": item["name"], "arguments": item["arguments"]}),
        ]
    for number, (name, fields) in enumerate(
        [
            ("created", {"response": begun}),
            ("in_progress", {"response": begun}),
            ("output_item.added", {"output_index": 0, "item": empty}),
            *steps,
            ("output_item.done", {"output_index": 0, "item": item}),
            ("completed", {"response": whole}),
        ]
    ):
        event = {"type": f"response.{name}", "sequence_number": number, **fields}
        yield f"event: response.{name}\ndata: {json.dumps(event)}"
