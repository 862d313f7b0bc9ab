public import DormouseSupport

/// The formats of answers that Dormouse knows, by name and by what a model's files say.
public enum AnswerFormats {
  /// All of them, as a configuration names them.
  public static let names = ["plain"]

  /// The format of this name, for a model with this tokenizer.
  /// - Throws: `Failure(.invalidArgument)` for a name that is none of `names`, or a format whose tokens the model lacks.
  public static func named(_ name: String, tokenizer: Tokenizer) throws(Failure) -> any AnswerFormat {
    guard name == "plain" else {
      throw Failure(
        .invalidArgument, "there is no format of answers \(Excerpt.name(name)): \(names.joined(separator: ", "))")
    }
    return PlainAnswerFormat()
  }

  /// The format that a model writes; nil for plain content.
  /// - Parameter template: the source of the model's chat template, where it has one.
  public static func detected(tokenizer: Tokenizer, template: String?) -> (any AnswerFormat)? { nil }
}

/// Answers that are content and nothing else.
struct PlainAnswerFormat: AnswerFormat {
  let name = "plain"
  let reasoningEnd: [Int32] = []

  func makeParser(after prompt: [Int32], callsTools: Bool) -> any AnswerParser { PlainAnswerParser() }
}
