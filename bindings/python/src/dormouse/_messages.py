"""The messages of a chat, as the library takes them."""

from __future__ import annotations

import json
from typing import Any, List, Mapping, Sequence, Tuple, Union

from .media import Media, parts

Messages = Union[str, Mapping[str, Any], Sequence[Mapping[str, Any]]]
"""A list of messages, an object {"messages": [...], "tools": [...]}, or either as JSON."""


def messages_json(messages: Messages, fields: Mapping[str, Any]) -> Tuple[bytes, List[Media]]:
    """The document of messages, with `fields` (tools, add_generation_prompt, ...) beside them, and the media in it."""
    if isinstance(messages, str):
        if not fields:
            return messages.encode("utf-8"), []
        messages = json.loads(messages)
    document = {**messages, **fields} if isinstance(messages, Mapping) else {"messages": list(messages), **fields}
    media: List[Media] = []
    if isinstance(document.get("messages"), list):
        document["messages"] = [_with_parts(message, media) for message in document["messages"]]
    return json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass"), media


def _with_parts(message: Any, media: List[Media]) -> Any:
    if not isinstance(message, Mapping) or "content" not in message:
        return message
    return {**message, "content": parts(message["content"], media)}
