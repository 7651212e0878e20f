"""Virtual keys of every kind, made as an administrator of LiteLLM makes them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .database import Database
    from .litellm import LiteLLM

CHAT_ROUTES = ["/chat/completions", "/v1/chat/completions"]
LIST_ROUTES = ["/models", "/v1/models"]


def make_keys(litellm: LiteLLM, database: Database) -> dict[str, str]:
    """Return a key of every kind, by its kind; the models are those of `recordings/catalogue.yaml`."""

    def post(path: str, **body: Any) -> dict[str, Any]:
        return litellm.post(path, body)

    def key(**options: Any) -> str:
        return str(post("/key/generate", **options)["key"])

    team = post("/team/new", team_alias="house", models=["gpt-4o", "gpt-4.1-mini"])["team_id"]
    poor_team = post("/team/new", team_alias="poor", max_budget=1.0)["team_id"]
    post("/user/new", user_id="poor-user", max_budget=1.0, auto_create_key=False)
    keys = {
        "three models": key(models=["gpt-4o", "claude-sonnet-4-5", "gpt-5"]),
        "team": key(team_id=team),
        "all-team-models": key(team_id=team, models=["all-team-models"]),
        "access group": key(models=["beta"]),
        "openai/*": key(models=["openai/*"]),
        "no-default-models": key(models=["no-default-models"]),
        "aliases": key(models=["gpt-4o", "house-mind"], aliases={"house-mind": "gpt-4o"}),
        "without info routes": key(models=["gpt-4o", "gpt-5"], allowed_routes=[*LIST_ROUTES, *CHAT_ROUTES]),
        "chat only": key(models=["gpt-4o", "gpt-5"], allowed_routes=CHAT_ROUTES),
        "expired": key(models=["gpt-4o"], duration="30d"),
        "blocked": key(models=["gpt-4o"]),
        "spent key": key(models=["gpt-4o"], max_budget=1.0),
        "spent team": key(team_id=poor_team, models=["gpt-4o"]),
        "spent user": key(user_id="poor-user", models=["gpt-4o"]),
        "deleted": key(models=["gpt-4o"]),
        "made anew": key(models=["gpt-4o"]),
    }
    post("/key/block", key=keys["blocked"])
    post("/key/delete", keys=[keys["deleted"], keys["made anew"]])
    post("/key/generate", key=keys["made anew"], models=["gpt-4o"])
    database.execute(
        """
        update "LiteLLM_VerificationToken" set expires = now() - interval '1 day' where token = :'expired';
        update "LiteLLM_VerificationToken" set spend = 5 where token = :'spent';
        update "LiteLLM_TeamTable" set spend = 5 where team_alias = 'poor';
        update "LiteLLM_UserTable" set spend = 5 where user_id = 'poor-user';
        """,
        expired=_hash(keys["expired"]),
        spent=_hash(keys["spent key"]),
    )
    return {**keys, "wrong": "sk-nobody-has-this-one", "master": litellm.key}


def _hash(key: str) -> str:
    """Return the hash of a key that LiteLLM stores."""
    return hashlib.sha256(key.encode()).hexdigest()
