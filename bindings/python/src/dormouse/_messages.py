"""The messages of a chat, as the library takes them."""

from __future__ import annotations

from typing import Any, List, Mapping, Tuple

from ._values import document
from .media import Media, parts
from .options import Messages

_TEMPLATE_FIELDS = ("tools", "add_generation_prompt", "continue_final_message", "chat_template", "template_variables")


def template_fields(options: "dict[str, Any]") -> Mapping[str, Any]:
    """Takes out of the options of a chat what stands beside its messages.

    Tools stay where the answer is to come in parts: the library shows them to the template itself.
    """
    if options.get("tools", ()) is None:
        del options["tools"]
    names = [name for name in _TEMPLATE_FIELDS if name != "tools" or options.get("parts") is False]
    return {name: options.pop(name) for name in names if name in options}


def messages_json(messages: Messages, fields: Mapping[str, Any]) -> Tuple[bytes, List[Media]]:
    """The document of messages, with `fields` (tools, add_generation_prompt, ...) beside them, and the media in it.

    A text is always what the user says, even if it looks like JSON: a text from outside never becomes a message of
    the system's.
    """
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    elif isinstance(messages, Mapping) and "role" in messages and "messages" not in messages:
        messages = [messages]
    whole = {**messages, **fields} if isinstance(messages, Mapping) else {"messages": list(messages), **fields}
    media: List[Media] = []
    if isinstance(whole.get("messages"), (list, tuple)):
        whole["messages"] = [_with_parts(message, media) for message in whole["messages"]]
    return document(whole), media


def _with_parts(message: Any, media: List[Media]) -> Any:
    if not isinstance(message, Mapping) or "content" not in message:
        return message
    return {**message, "content": parts(message["content"], media)}
