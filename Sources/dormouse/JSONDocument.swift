import FoundationEssentials

/// JSON out and in, one document at a time.
enum JSONDocument {
  /// One line, members in alphabetical order.
  static func line<Value: Encodable>(_ value: Value) throws(CommandFailure) -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    do {
      return String(decoding: try encoder.encode(value), as: UTF8.self)
    } catch {
      throw CommandFailure(message: "cannot write JSON: \(error)")
    }
  }

  /// - Parameter name: what the document is, for the message when it does not fit `Value`.
  static func read<Value: Decodable>(_ type: Value.Type, _ bytes: [UInt8], name: String) throws(CommandFailure) -> Value
  {
    do {
      return try JSONDecoder().decode(type, from: Data(bytes))
    } catch let error as DecodingError {
      throw CommandFailure(message: "\(name): \(describe(error))")
    } catch {
      throw CommandFailure(message: "\(name): \(error)")
    }
  }

  private static func describe(_ error: DecodingError) -> String {
    switch error {
    case .typeMismatch(_, let context), .valueNotFound(_, let context), .keyNotFound(_, let context):
      let path = context.codingPath.map { $0.intValue.map { "[\($0)]" } ?? ".\($0.stringValue)" }.joined()
      return path.isEmpty ? context.debugDescription : "\(path): \(context.debugDescription)"
    case .dataCorrupted(let context):
      return "not JSON: \(context.underlyingError.map { "\($0)" } ?? context.debugDescription)"
    @unknown default:
      return "\(error)"
    }
  }

  /// Token ids: a JSON array of integers.
  static func ids(_ bytes: [UInt8], name: String) throws(CommandFailure) -> [Int32] {
    try read([Int32].self, bytes, name: name)
  }
}
