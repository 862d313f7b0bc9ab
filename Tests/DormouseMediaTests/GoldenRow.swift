import DormouseMedia
import DormouseSupport

/// One row of a golden document.
struct GoldenRow {
  let fields: JSONFields

  static func rows(_ file: String, _ key: String) throws -> [GoldenRow] {
    let document = try JSONFields(File.readJSON(Fixtures.path(file)), file: file)
    return try (document.optionalArray(key) ?? []).map { GoldenRow(fields: try JSONFields($0, file: file)) }
  }

  func text(_ key: String) throws -> String { try fields.string(key) }
  func integer(_ key: String) throws -> Int { try fields.integer(key, 0...(1 << 40)) }
  func number(_ key: String) throws -> Double { try fields.number(key, -1e9...1e9) }
  func has(_ key: String) -> Bool { fields.value(key)?.boolValue ?? (fields.value(key) != nil) }

  func integers(_ key: String) throws -> [Int] {
    (try fields.optionalArray(key) ?? []).compactMap { $0.integerValue.map { Int($0) } }
  }

  func grids(_ key: String) throws -> [PatchGrid] {
    try (fields.optionalArray(key) ?? []).map { grid in
      let sizes = (grid.arrayValue ?? []).compactMap { $0.integerValue.map { Int($0) } }
      return PatchGrid(frames: sizes[0], height: sizes[1], width: sizes[2])
    }
  }

  func object(_ key: String) throws -> JSONFields {
    guard let object = try fields.fields(key) else { throw Failure(.notFound, key) }
    return object
  }
}

extension TensorFile {
  /// Patches, where they are stored as places in a table too.
  func patches(_ name: String) throws -> (shape: [Int], values: [Float]) {
    guard has("\(name).table") else { return (try shape(name), try floats(name)) }
    let shape = try integers("\(name).shape").map { Int($0) }
    let table = try floats("\(name).table")
    let places = try bytes("\(name).places")
    return (shape, places.prefix(shape.reduce(1, *)).map { table[Int($0)] })
  }

  /// Four bytes from each number, the lowest first.
  func bytes(_ name: String) throws -> [UInt8] {
    try integers(name).flatMap { number in (0..<4).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) } }
  }
}
