public import DormouseSupport

/// The formats of answers that Dormouse knows, by name and by what a model's files say.
public enum AnswerFormats {
  private static let known: [(name: String, make: @Sendable (String, Tokenizer) -> any AnswerFormat)] = [
    ("plain", { name, _ in PlainAnswerFormat(name: name) }),
    ("reasoning", marked { AnswerSyntax.reasoning($0, $1) }),
    ("deepseek-v3", marked { AnswerSyntax.deepSeekV3($0, reasons: false, $1) }),
    ("deepseek-r1", marked { AnswerSyntax.deepSeekV3($0, reasons: true, $1) }),
    ("deepseek-v3.1", marked { AnswerSyntax.deepSeekV31($0, $1) }),
    (
      "deepseek-v3.2",
      marked { name, tokenizer in
        AnswerSyntax.deepSeekDSML(
          name, block: "function_calls", spaceBefore: .blankLine, spaceAroundReasoning: .none, tokenizer)
      }
    ),
    (
      "deepseek-v4",
      marked { name, tokenizer in
        AnswerSyntax.deepSeekDSML(
          name, block: "tool_calls", spaceBefore: .lineFeeds, spaceAroundReasoning: .lineFeeds, tokenizer)
      }
    ),
    (
      "deepseek-v4.1",
      marked { name, tokenizer in
        AnswerSyntax.deepSeekDSML(
          name, block: " calls", tagSpace: " ", spaceBefore: .lineFeeds, spaceAroundReasoning: .lineFeeds, tokenizer)
      }
    ),
    ("kimi-k2", marked { AnswerSyntax.kimiK2($0, $1) }),
    ("glm-4.7", marked { AnswerSyntax.glm47($0, $1) }),
  ]

  private static func marked(
    _ syntax: @escaping @Sendable (String, Tokenizer) -> AnswerSyntax
  ) -> @Sendable (String, Tokenizer) -> any AnswerFormat {
    { name, tokenizer in MarkedAnswerFormat(syntax(name, tokenizer), tokenizer: tokenizer) }
  }

  /// All of them, as a configuration names them.
  public static let names = known.map(\.name)

  /// The format of this name, for a model with this tokenizer: markers that are added tokens there are known by their
  /// ids, others by their text.
  /// - Throws: `Failure(.invalidArgument)` for a name that is none of `names`.
  public static func named(_ name: String, tokenizer: Tokenizer) throws(Failure) -> any AnswerFormat {
    guard let format = known.first(where: { $0.name == name }) else {
      throw Failure(
        .invalidArgument,
        "\(Excerpt.name(name)) is no format of answers; there are \(names.joined(separator: ", "))")
    }
    return format.make(format.name, tokenizer)
  }

  /// The format that a model writes; nil for plain content.
  ///
  /// V4 and V4.1 publish no template and have the same tokens: V4 is taken for both.
  /// - Parameter template: the source of the model's chat template, where it has one.
  public static func detected(tokenizer: Tokenizer, template: String?) -> (any AnswerFormat)? {
    let template = Array((template ?? "").utf8)
    func says(_ text: String) -> Bool {
      template.withUnsafeBufferPointer { SequenceSearch(Array(text.utf8)).first(in: $0, from: 0) != nil }
    }
    func knows(_ text: String) -> Bool { tokenizer.addedTokenID(of: text) != nil }
    return detectedName(says: says, knows: knows).flatMap { try? named($0, tokenizer: tokenizer) }
  }

  /// By what the template says, and by tokens that only one family has. Templates may put names together from pieces.
  private static func detectedName(says: (String) -> Bool, knows: (String) -> Bool) -> String? {
    if says("｜DSML｜") {
      return says("function_calls>") ? "deepseek-v3.2" : says("tool_calls>") ? "deepseek-v4" : "deepseek-v4.1"
    }
    let reasons = says(ReasoningMarker.end)
    if says("<｜tool▁calls▁begin｜>") {
      guard says("```json") else { return "deepseek-v3.1" }
      return reasons ? "deepseek-r1" : "deepseek-v3"
    }
    for (marker, name) in [("<|tool_calls_section_begin|>", "kimi-k2"), ("<arg_key>", "glm-4.7")] {
      if says(marker) || knows(marker) { return name }
    }
    if reasons { return "reasoning" }
    if knows("｜DSML｜") { return knows("<｜latest_reminder｜>") ? "deepseek-v4" : "deepseek-v3.2" }
    return nil
  }
}

extension AnswerSyntax {
  /// Reasoning and content, of models that call no tools or call them in a way not known here.
  fileprivate static func reasoning(_ name: String, _ tokenizer: Tokenizer) -> AnswerSyntax {
    let markers = AnswerMarkers([ReasoningMarker.begin, ReasoningMarker.end], tokenizer: tokenizer)
    return AnswerSyntax(name: name, markers: markers, reasoning: markers.reasoning)
  }
}

/// Answers that are content and nothing else.
private struct PlainAnswerFormat: AnswerFormat {
  let name: String
  let reasoningEnd: [Int32] = []

  func makeParser(after prompt: [Int32], callsTools: Bool, parameters: ToolParameters) -> any AnswerParser {
    PlainAnswerParser()
  }
}
