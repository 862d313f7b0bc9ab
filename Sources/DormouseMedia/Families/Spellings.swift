import DormouseSupport
import DormouseWeights

/// Finds a tensor under the names that publishers and libraries have given it.
struct TensorSpellings {
  let checkpoint: Checkpoint
  /// What may stand before a name.
  let prefixes: [String]

  /// The first of `spellings` that a file has, with `ending` behind it; else the first, which failures then name.
  func find(_ spellings: [String], ending: String = ".weight") -> String {
    for spelling in spellings {
      for prefix in prefixes where checkpoint.has(prefix + spelling + ending) {
        return prefix + spelling
      }
    }
    return (prefixes.first ?? "") + (spellings.first ?? "")
  }
}

extension JSONFields {
  /// The value under the first of `keys` that is there.
  func firstInteger(_ keys: [String], _ range: ClosedRange<Int>) throws(Failure) -> Int? {
    for key in keys {
      if let found = try optionalInteger(key, range) { return found }
    }
    return nil
  }

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

  /// Theta of an `axial` rotation.
  func axialRopeTheta() throws(Failure) -> Float {
    guard let rope = try fields("rope_parameters") else { return 10_000 }
    let type = try rope.optionalString("rope_type") ?? "axial"
    guard type == "axial" else { throw rope.unsupported("rope_type", .string(type), supported: "axial") }
    return Float(try rope.optionalNumber("rope_theta", 1...1e9) ?? 10_000)
  }
}
