internal import DormouseSupport

/// `model.safetensors.index.json`: which tensor lies in which shard.
struct CheckpointIndex {
  /// Bytes of the document at most. DeepSeek-V3's index has 9 MB.
  static let byteLimit = 100_000_000

  /// Paths from the index's folder, inside it, sorted, each one once.
  let shards: [String]
  /// Tensor names with the position of their shard, in document order.
  let tensors: [(name: String, shard: Int)]

  /// - Throws: `Failure(.malformed)` or `Failure(.inputOutput)` that names `path` and the entry.
  init(path: String) throws(Failure) {
    let root = try File.readJSON(path, limits: JSON.Limits(bytes: CheckpointIndex.byteLimit, depth: 16))
    let entries = try withContext(path) { () throws(Failure) in try CheckpointIndex.entries(of: root) }
    let shards = Set(entries.map { ExactString($0.file) }).map(\.string)
      .sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    let positions = Dictionary(uniqueKeysWithValues: shards.enumerated().map { (ExactString($1), $0) })
    self.shards = shards
    tensors = entries.map { ($0.name, positions[ExactString($0.file)] ?? 0) }
  }

  private static func entries(of root: JSON) throws(Failure) -> [(name: String, file: String)] {
    guard root.objectValue != nil else { throw Failure(.malformed, "the index is \(root.typeName), not an object") }
    guard let map = root["weight_map"] else { throw Failure(.malformed, "weight_map is missing") }
    guard let members = map.objectValue else {
      throw Failure(.malformed, "weight_map is \(map.typeName), not an object of file names")
    }
    guard !members.isEmpty else { throw Failure(.malformed, "weight_map is empty") }
    var entries: [(name: String, file: String)] = []
    entries.reserveCapacity(members.count)
    for (name, value) in members {
      guard let file = value.stringValue else {
        throw Failure(.malformed, "weight_map: tensor \(Excerpt.name(name)) has \(value.typeName), not a file name")
      }
      guard isInside(file) else {
        throw Failure(
          .malformed,
          "weight_map: tensor \(Excerpt.name(name)): \(Excerpt.name(file)) is not the name of a file in the index's "
            + "folder or below it")
      }
      entries.append((name, file))
    }
    return entries
  }

  /// Whether `path` can only mean an entry of the index's own folder or of one below it.
  private static func isInside(_ path: String) -> Bool {
    let parts = path.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
    return path.utf8.count <= 4096
      && parts.allSatisfy { part in
        !part.isEmpty && part.count <= 255 && !part.elementsEqual(".".utf8) && !part.elementsEqual("..".utf8)
          && !part.contains { $0 == UInt8(ascii: "\\") || $0 == 0 }
      }
  }
}
