// Stands in until the chat template room lands.
public import DormouseSupport
public final class ChatTemplate: Sendable {
  public init(source: String, file: String) throws(Failure) {}
  public static func load(folder: String) throws(Failure) -> ChatTemplate? { nil }
  public func render(messages: JSON, variables: JSONObject, markupVariables: JSONObject) throws(Failure) -> [PromptRun] { [] }
}
