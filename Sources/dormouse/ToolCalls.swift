import DormouseClient

/// The calls of an answer, put together from its parts.
struct ToolCalls {
  /// One of them, as a JSON line has it.
  struct Call: Encodable {
    var id: String
    var name: String
    /// As the model wrote it, an object in JSON.
    var arguments = ""
  }

  private(set) var calls: [Call] = []

  /// Takes a part; those that belong to no call do nothing, and a call that turns out broken is none.
  mutating func add(_ part: OpenSession.Part) {
    switch part.kind {
    case .content, .reasoning: return
    case .toolName: calls.append(Call(id: part.toolID, name: part.toolName))
    case .toolArguments: if !calls.isEmpty { calls[calls.count - 1].arguments += part.text }
    case .brokenCall: if !part.toolName.isEmpty { _ = calls.popLast() }
    }
  }
}
