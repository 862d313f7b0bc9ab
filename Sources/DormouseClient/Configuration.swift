import FoundationEssentials

/// Options that the library takes as a JSON object, whose members are those of the Swift type in snake case. What is nil
/// is left to the library's own defaults.
protocol Configuration: Encodable {}

extension Configuration {
  var json: String {
    get throws(DormouseError) {
      let encoder = JSONEncoder()
      encoder.keyEncodingStrategy = .convertToSnakeCase
      encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
      do {
        return String(decoding: try encoder.encode(self), as: UTF8.self)
      } catch {
        throw DormouseError(.invalidArgument, "\(Self.self) can't be written as JSON: \(error)")
      }
    }
  }
}

/// An object in JSON with one member more, whose value stands in it as it was written: the order of its members counts,
/// and every digit.
func adding(_ name: String, _ value: String, to object: String) -> String {
  "{\"\(name)\":" + value + (object == "{}" ? "}" : "," + object.dropFirst())
}
