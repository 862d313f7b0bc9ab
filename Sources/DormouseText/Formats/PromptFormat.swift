public import DormouseSupport

/// How a family of models wants a chat to be written: messages in, the runs of a prompt out. Thread: any.
///
/// A chat template in Jinja is one (`ChatTemplates`); a family whose makers publish code instead has its own.
public protocol PromptFormat: Sendable {
  /// The templates that a chat may choose by name; empty where there is no choice.
  var names: [String] { get }

  /// Why a chat that names no template cannot be rendered; nil where it can.
  var failure: Failure? { get }

  /// The text of the template that fits chats without tools, from which is known what model writes by it; nil for a
  /// format that is no template.
  var source: String? { get }

  /// Whether the prompt of a chat depends on a variable.
  func reads(_ variable: String, templateName: String?, hasTools: Bool) -> Bool

  /// The prompt of `chat`.
  /// - Parameter interruption: asked between short pieces of the work.
  /// - Returns: runs of which none is empty, and among them the chat's media: each once and in order, up to the first
  ///   that the format does not show.
  /// - Throws: `Failure(.invalidArgument)` for a chat that the format refuses, `.malformed` or `.unsupported` where the
  ///   model's files are at fault, and what `interruption` says.
  func render(_ chat: Chat, interruption: Interruption) throws(Failure) -> [PromptRun]
}

/// What is rendered: messages and what goes with them.
public struct Chat: Sendable {
  /// Objects in the chat format.
  public var messages: [JSON]
  /// `tools`, `add_generation_prompt` and whatever else the format reads.
  public var variables: JSONObject
  /// The template to use; nil for the one that fits.
  public var templateName: String?
  /// The member of the last message that the model is to go on with, which therefore stays open; nil: none.
  public var continuedField: String?
  /// For each image, video and audio of the messages, in order: what the model's own template writes in its place.
  public var mediaPlaceholders: [String]

  public init(
    messages: [JSON], variables: JSONObject = JSONObject(), templateName: String? = nil, continuedField: String? = nil,
    mediaPlaceholders: [String] = []
  ) {
    self.messages = messages
    self.variables = variables
    self.templateName = templateName
    self.continuedField = continuedField
    self.mediaPlaceholders = mediaPlaceholders
  }
}

/// A piece of a rendered prompt.
public enum PromptRun: Sendable, Equatable {
  /// What the format itself says, where control tokens may stand.
  case markup(String)
  /// What a message or a tool says: control tokens in it are ordinary text, so that nobody can forge them.
  case content(String)
  /// The chat's image, video or audio of this number.
  case media(Int)

  /// Nothing for media.
  public var text: String {
    switch self {
    case .markup(let text), .content(let text): text
    case .media: ""
    }
  }
}
