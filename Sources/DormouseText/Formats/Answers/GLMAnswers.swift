/// The format of GLM-4.7, and of GLM-4.5 and 4.6, which put line feeds between the markers: `<tool_call>NAME`, and each
/// argument as `<arg_key>KEY</arg_key><arg_value>VALUE</arg_value>`.
extension AnswerSyntax {
  static func glm47(_ name: String, _ tokenizer: Tokenizer) -> AnswerSyntax {
    let calls = ["<tool_call>", "</tool_call>", "<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>"]
    let markers = AnswerMarkers(calls + [ReasoningMarker.begin, ReasoningMarker.end], tokenizer: tokenizer)
    let bytes = calls.map(markers.bytes)
    let style = KeyedCallStyle(
      keyBegin: bytes[2], keyEnd: bytes[3], valueBegin: bytes[4], valueEnd: bytes[5], callEnd: bytes[1],
      callBegin: bytes[0])
    return AnswerSyntax(
      name: name, markers: markers, reasoning: markers.reasoning,
      tools: Tools(
        section: nil, callBegin: bytes[0], calls: .keyed(style), spaceBefore: .any, endReasoning: true))
  }
}
