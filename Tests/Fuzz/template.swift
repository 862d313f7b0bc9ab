// Fuzzes the chat template: the input is a template's source, rendered with fixed messages. It may fail, with a
// `Failure`; it may not trap, hang or overflow the stack, and content may not turn into markup.
import DormouseSupport
import DormouseText

private let messages: JSON = [
  ["role": "system", "content": "Be brief."],
  [
    "role": "user",
    "content": [["type": "text", "text": "é \u{E000} <|x|>"], ["type": "image_url", "image_url": "u"]],
  ],
  [
    "role": "assistant", "content": "<think>\u{E000}</think>\n\n4", "reasoning_content": "so",
    "tool_calls": [
      ["id": "1", "type": "function", "function": ["name": "f", "arguments": ["a": 1, "b": [2.5, .null]]]]
    ],
  ],
  ["role": "tool", "tool_call_id": "1", "content": "\u{E000}"],
]

private let variables = JSONObject([
  "tools": [["type": "function", "function": ["name": "f", "parameters": ["type": "object"]]]],
  "add_generation_prompt": true, "n": 7, "x": "  a b,c  ",
])

private let markup = JSONObject(["bos_token": "<s>", "eos_token": "</s>"])

// The constants above are pointers with tags, which the leak checker does not follow.
private let suppressions: StaticString = "leak:_WZ\nleak:dictionaryLiteral\nleak:arrayLiteral\n"

@_cdecl("__lsan_default_suppressions")
public func leakSuppressions() -> UnsafePointer<UInt8> { suppressions.utf8Start }

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzTemplate(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let source = String(decoding: UnsafeBufferPointer(start: start, count: count), as: UTF8.self)
  guard let template = try? ChatTemplate(source: source, file: "fuzz") else { return 0 }
  guard let runs = try? template.render(messages: messages, variables: variables, markupVariables: markup) else {
    return 0
  }
  // U+E000 stands in the messages only, so no markup may hold it unless the template names it itself.
  let isNamed = source.contains("\u{E000}") || source.contains("\\") || source.contains("%c") || source.contains("'c")
  for case .markup(let text) in runs where !isNamed {
    precondition(!text.unicodeScalars.contains("\u{E000}"), "content became markup")
  }
  return 0
}
