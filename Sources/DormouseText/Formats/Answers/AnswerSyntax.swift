/// What a family of models writes around its reasoning and its calls.
struct AnswerSyntax: Sendable {
  /// White space that a family writes beside a marker, and that is no part of what stands there.
  enum Space: Sendable {
    case none
    /// Two line feeds.
    case blankLine
    case lineFeeds
    case any
  }

  /// How the calls themselves are written.
  enum Calls: Sendable {
    case json(JSONCallStyle)
    case dsml(DSMLCallStyle)
    case keyed(KeyedCallStyle)

    /// The marker that ends a call.
    var end: [UInt8] {
      switch self {
      case .json(let style): style.callEnd
      case .dsml(let style): style.callEnd
      case .keyed(let style): style.callEnd
      }
    }

    func reader(_ parameters: ToolParameters) -> any CallReader {
      switch self {
      case .json(let style): JSONCallReader(style: style)
      case .dsml(let style): DSMLCallReader(style: style)
      case .keyed(let style): KeyedCallReader(style: style, parameters: parameters)
      }
    }
  }

  /// The markers around a model's calls.
  struct Tools: Sendable {
    /// Begins and ends all calls of an answer; nil where nothing stands around them.
    var section: (begin: [UInt8], end: [UInt8])?
    var callBegin: [UInt8]
    var calls: Calls
    /// Left out of the content before the calls.
    var spaceBefore: Space
    /// Whether calls end the reasoning that they begin within.
    var endReasoning: Bool
  }

  var name: String
  var markers: AnswerMarkers
  /// Around the reasoning; nil for models that do none.
  var reasoning: (begin: [UInt8], end: [UInt8])?
  /// Left out at both ends of the reasoning, and where the content begins.
  var spaceAroundReasoning = Space.none
  /// nil for models that call none.
  var tools: Tools?
  /// What a call is made of; nil where its arguments are not JSON.
  var callTexts: CallTexts?
}
