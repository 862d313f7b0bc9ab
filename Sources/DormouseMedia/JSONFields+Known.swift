import DormouseSupport

extension JSONFields {
  /// What published models all have, refused where a file asks for something else.
  func require(_ known: [String: [String]]) throws(Failure) {
    for (key, values) in known.sorted(by: { $0.key < $1.key }) {
      guard let value = try optionalString(key), !values.contains(value) else { continue }
      throw unsupported(key, .string(value), supported: values.filter { !$0.isEmpty }.joined(separator: ", "))
    }
  }

  /// The same for switches.
  func require(_ known: [String: Bool]) throws(Failure) {
    for (key, value) in known.sorted(by: { $0.key < $1.key }) {
      guard let found = try optionalBoolean(key), found != value else { continue }
      throw unsupported(key, .bool(found), supported: "\(value)")
    }
  }

  /// `hidden_size` of dots3-note's text model, whose configuration published files have at the top.
  func dotsTextHiddenSize() throws(Failure) -> Int {
    let text = try fields("text_config") ?? self
    return try text.optionalInteger("hidden_size", VisionConfiguration.widthRange) ?? 5120
  }
}
