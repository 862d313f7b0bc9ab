"""The messages of a chat, as the library takes them."""

from __future__ import annotations

import json
from typing import Any, Mapping, Sequence, Union

Messages = Union[str, Mapping[str, Any], Sequence[Mapping[str, Any]]]
"""A list of messages, an object {"messages": [...], "tools": [...]}, or either as JSON."""


def messages_json(messages: Messages, fields: Mapping[str, Any]) -> bytes:
    """The document of messages, with `fields` (tools, add_generation_prompt, ...) beside them."""
    if isinstance(messages, str):
        if not fields:
            return messages.encode("utf-8")
        messages = json.loads(messages)
    if isinstance(messages, Mapping):
        document: Any = {**messages, **fields}
    else:
        document = {"messages": list(messages), **fields}
    return json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass")
