/// The formats of DeepSeek's models.
extension AnswerSyntax {
  /// V3 and R1: `<｜tool▁call▁begin｜>function<｜tool▁sep｜>NAME`, and the arguments as a block of code in Markdown.
  static func deepSeekV3(_ name: String, reasons: Bool, _ tokenizer: Tokenizer) -> AnswerSyntax {
    var syntax = deepSeekV3(name, reasons: reasons, tokenizer) { markers in
      (
        nameBegin: markers.bytes(of: "function<｜tool▁sep｜>"), headEnd: Array("\n```json\n".utf8),
        fence: Array("```".utf8)
      )
    }
    syntax.callTexts = callTexts(
      separator: "\n", nameBegin: "function<｜tool▁sep｜>", nameEnd: "\n```json\n", argumentsEnd: "\n```")
    return syntax
  }

  /// V3.1: `<｜tool▁call▁begin｜>NAME<｜tool▁sep｜>`, and the arguments.
  static func deepSeekV31(_ name: String, _ tokenizer: Tokenizer) -> AnswerSyntax {
    var syntax = deepSeekV3(name, reasons: true, tokenizer) { markers in
      (nameBegin: [], headEnd: markers.bytes(of: "<｜tool▁sep｜>"), fence: [])
    }
    syntax.callTexts = callTexts(separator: "", nameBegin: "", nameEnd: "<｜tool▁sep｜>", argumentsEnd: "")
    return syntax
  }

  private static func callTexts(
    separator: String, nameBegin: String, nameEnd: String, argumentsEnd: String
  ) -> CallTexts {
    CallTexts(
      sectionBegin: "<｜tool▁calls▁begin｜>", sectionEnd: "<｜tool▁calls▁end｜>", callBegin: "<｜tool▁call▁begin｜>",
      separator: separator, nameBegin: nameBegin, nameEnd: { _ in nameEnd },
      callEnd: argumentsEnd + "<｜tool▁call▁end｜>")
  }

  private static func deepSeekV3(
    _ name: String, reasons: Bool, _ tokenizer: Tokenizer,
    _ head: (AnswerMarkers) -> (nameBegin: [UInt8], headEnd: [UInt8], fence: [UInt8])
  ) -> AnswerSyntax {
    let calls = ["<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>", "<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>"]
    let reasoning = reasons ? [ReasoningMarker.begin, ReasoningMarker.end] : []
    let markers = AnswerMarkers(calls + ["<｜tool▁sep｜>"] + reasoning, tokenizer: tokenizer)
    let bytes = calls.map(markers.bytes)
    let (nameBegin, headEnd, fence) = head(markers)
    let style = JSONCallStyle(
      nameBegin: nameBegin, headEnd: headEnd, fence: fence, callEnd: bytes[3],
      otherEnds: [bytes[0], bytes[1], bytes[2]])
    return AnswerSyntax(
      name: name, markers: markers, reasoning: reasons ? markers.reasoning : nil,
      tools: Tools(
        section: (bytes[0], bytes[1]), callBegin: bytes[2], calls: .json(style), spaceBefore: .any,
        endReasoning: false))
  }

  /// V3.2, V4 and V4.1: DSML, whose block and tags have names of their own in each.
  /// - Parameters:
  ///   - block: around all calls.
  ///   - tagSpace: before the names of the tags.
  static func deepSeekDSML(
    _ name: String, block: String, tagSpace: String = "", spaceBefore: Space, spaceAroundReasoning: Space,
    _ tokenizer: Tokenizer
  ) -> AnswerSyntax {
    let markers = AnswerMarkers(["｜DSML｜", ReasoningMarker.begin, ReasoningMarker.end], tokenizer: tokenizer)
    let section = (markers.bytes(of: "<｜DSML｜\(block)>"), markers.bytes(of: "</｜DSML｜\(block)>"))
    let style = DSMLCallStyle(
      parameterBegin: markers.bytes(of: "<｜DSML｜\(tagSpace)parameter"),
      parameterEnd: markers.bytes(of: "</｜DSML｜\(tagSpace)parameter>"),
      callEnd: markers.bytes(of: "</｜DSML｜\(tagSpace)invoke>"), sectionEnd: section.1)
    return AnswerSyntax(
      name: name, markers: markers, reasoning: markers.reasoning, spaceAroundReasoning: spaceAroundReasoning,
      tools: Tools(
        section: section, callBegin: markers.bytes(of: "<｜DSML｜\(tagSpace)invoke"), calls: .dsml(style),
        spaceBefore: spaceBefore, endReasoning: true))
  }
}

extension AnswerMarkers {
  /// What stands for the markers around reasoning.
  var reasoning: (begin: [UInt8], end: [UInt8]) {
    (bytes(of: ReasoningMarker.begin), bytes(of: ReasoningMarker.end))
  }
}
