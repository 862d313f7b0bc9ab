/// The format of Kimi K2: `<|tool_call_begin|>functions.NAME:NUMBER<|tool_call_argument_begin|>`, and the arguments.
extension AnswerSyntax {
  static func kimiK2(_ name: String, _ tokenizer: Tokenizer) -> AnswerSyntax {
    let calls = [
      "<|tool_calls_section_begin|>", "<|tool_calls_section_end|>", "<|tool_call_begin|>", "<|tool_call_end|>",
      "<|tool_call_argument_begin|>",
    ]
    let markers = AnswerMarkers(calls + [ReasoningMarker.begin, ReasoningMarker.end], tokenizer: tokenizer)
    let bytes = calls.map(markers.bytes)
    let style = JSONCallStyle(
      headEnd: bytes[4], callEnd: bytes[3], otherEnds: [bytes[0], bytes[1], bytes[2]], hasID: true)
    return AnswerSyntax(
      name: name, markers: markers, reasoning: markers.reasoning,
      tools: Tools(
        section: (bytes[0], bytes[1]), callBegin: bytes[2], calls: .json(style), spaceBefore: .none,
        endReasoning: true),
      callTexts: CallTexts(
        sectionBegin: calls[0], sectionEnd: calls[1], callBegin: calls[2], nameBegin: "functions.",
        nameEnd: { ":\($0)" + calls[4] }, callEnd: calls[3]))
  }
}
