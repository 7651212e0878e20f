"""Whose budget is spent, when LiteLLM lists the models anyway but refuses to chat.

LiteLLM 1.90 and newer do so for a team and a user, 1.109 for a key as well. The answers are not trusted: they lead to a
message for the user, and never change the models.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from opencode_litellm.jsonc import mapping
from opencode_litellm.litellm import prices, refusals

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opencode_litellm.litellm.connection import Reply

LARGEST = 4 * 2**20  # bytes; a team's answer has a row for each of its keys

KEY, TEAM, USER = "/key/info", "/team/info", "/v2/user/info"
_LONGEST_ID = 200  # characters


def owner_of_spent(ask: Callable[[str], Reply]) -> str:
    """Return whose budget is spent, such as ``key``, ``team`` or ``user``; empty if nobody's is, or if that is unknown.

    ``ask`` gets a path and may raise Failure. LiteLLM 1.106: a user's own budget does not count for the key of a team.
    """
    reply = ask(KEY)
    if owner := refusals.owner_of_spent_budget(reply):  # LiteLLM 1.90 refuses to answer, with this as its reason
        return owner
    key = mapping(_content(reply).get("info"))
    if _is_spent(key):
        return "key"
    if team := _id(key.get("team_id")):
        return "team" if _is_spent(mapping(_content(ask(f"{TEAM}?team_id={team}")).get("team_info"))) else ""
    return "user" if _id(key.get("user_id")) and _is_spent(_content(ask(USER))) else ""


def _content(reply: Reply) -> Mapping[str, Any]:
    return mapping(reply.json) if reply.status == 200 else {}


def _id(value: object) -> str:
    return quote(value, safe="") if isinstance(value, str) and 0 < len(value) <= _LONGEST_ID else ""


def _is_spent(owner: Mapping[str, Any]) -> bool:
    if mapping(owner.get("metadata")).get("temp_budget_increase"):
        return False  # for now the budget is larger than max_budget says
    # A shared budget is in a table of its own.
    most = owner.get("max_budget")
    most = mapping(owner.get("litellm_budget_table")).get("max_budget") if most is None else most
    spend, budget = prices.number(owner.get("spend")), prices.number(most)
    return spend is not None and budget is not None and spend >= budget
