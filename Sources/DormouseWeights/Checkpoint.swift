public import DormouseSupport

/// The safetensors files of a model: their headers, read and validated. The weights stay on disk until `load`.
///
/// As transformers does, a folder's `model.safetensors` is taken before `model.safetensors.index.json` where both are
/// there, and of an index only the names of the shards count: a model's tensors are those that the shards have. Stricter
/// than transformers, which lets the last file win, a tensor in two shards is refused.
public final class Checkpoint: Sendable {
  /// The folder that holds the files.
  public let folder: String
  /// Paths; one, or the shards in the order of their names.
  public let files: [String]
  /// In the order of the files, and in each of them in the order of the bytes.
  public let tensorNames: [String]
  /// Bytes of each file as its header was read.
  let fileSizes: [Int]
  /// When each file was modified last, as its header was read, in nanoseconds since 1970.
  let fileTimes: [Int]
  private let records: [ExactString: TensorRecord]
  /// Tensors of types that Dormouse does not read.
  private let unread: [ExactString: UnreadTensor]
  /// What an index lists and no shard has: the names, in the index's order, and for each the shard that should have it.
  public let missingTensorNames: [String]
  private let missing: [ExactString: Int]

  /// Where loaded weights live.
  public enum Residency: Sendable {
    /// The files' pages, read at first use and given back under pressure. Whoever changes or cuts the files while they
    /// are mapped changes the weights or kills the process.
    case mapped
    /// Memory of the store's own, read once.
    case memory
  }

  /// - Parameter folder: a folder with `model.safetensors` or `model.safetensors.index.json`, or the path of one such
  ///   file (of any name with these endings).
  /// - Throws: `Failure(.notFound)` for a missing folder, file or shard; `.malformed` or `.inputOutput` as the headers and
  ///   the index demand. The sentence names the file, and the tensor where there is one.
  public init(folder: String) throws(Failure) {
    let location = try CheckpointLocation(folder)
    var index: CheckpointIndex?
    if let path = location.index { index = try CheckpointIndex(path: path) }
    let files = index?.shards.map { location.folder + "/" + $0 } ?? location.files
    var sizes: [Int] = []
    var times: [Int] = []
    var names: [String] = []
    var records: [ExactString: TensorRecord] = [:]
    var unread: [ExactString: UnreadTensor] = [:]
    for (position, path) in files.enumerated() {
      let file = try Checkpoint.openShard(path, index: location.index)
      sizes.append(file.size)
      times.append(file.modificationTime)
      let header = try SafetensorsHeader(file: file, fileIndex: position)
      func requireNew(_ name: String) throws(Failure) {
        let key = ExactString(name)
        guard let other = records[key]?.fileIndex ?? unread[key]?.fileIndex else { return }
        throw Failure(.malformed, "\(path): tensor \(Excerpt.name(name)) is also in \(files[other])")
      }
      for tensor in header.tensors {
        try requireNew(tensor.name)
        names.append(tensor.name)
        records[ExactString(tensor.name)] = tensor
      }
      for tensor in header.unread {
        try requireNew(tensor.name)
        unread[ExactString(tensor.name)] = tensor
      }
    }
    let absent = (index?.tensors ?? []).filter {
      records[ExactString($0.name)] == nil && unread[ExactString($0.name)] == nil
    }
    missingTensorNames = absent.map(\.name)
    missing = Dictionary(absent.map { (ExactString($0.name), $0.shard) }) { first, _ in first }
    self.folder = location.folder
    self.files = files
    self.tensorNames = names
    self.fileSizes = sizes
    self.fileTimes = times
    self.records = records
    self.unread = unread
  }

  /// What the header says about the tensor called `name`; nil where no file has it, or in a type that is not read.
  public func record(of name: String) -> TensorRecord? { records[ExactString(name)] }

  /// Whether a file has the tensor called `name`, of whatever type.
  public func has(_ name: String) -> Bool {
    records[ExactString(name)] != nil || unread[ExactString(name)] != nil
  }

  /// Tensors of types that Dormouse does not read, in the order of files and bytes.
  public var unreadTensors: [UnreadTensor] {
    unread.values.sorted { ($0.fileIndex, $0.offset, $0.byteCount) < ($1.fileIndex, $1.offset, $1.byteCount) }
  }

  /// Why `record(of: name)` is nil: no file has the tensor, or it is of a type that is not read.
  /// - Parameter expected: the shape that the tensor should have; nil where it is not known.
  public func absence(of name: String, expected: [Int]?) -> Failure {
    let key = ExactString(name)
    if let tensor = unread[key], tensor.fileIndex < files.count {
      return Failure(.unsupported, "\(files[tensor.fileIndex]): tensor \(Excerpt.name(name)): \(tensor.reason)")
    }
    var sentence = "\(folder): tensor \(name) is missing"
    if let expected { sentence += "; expected shape \(expected)" }
    if let shard = missing[key], shard < files.count {
      sentence += ", and by the index it is in \(files[shard]), which does not have it"
    }
    return Failure(.malformed, sentence)
  }

  private static func openShard(_ path: String, index: String?) throws(Failure) -> File {
    do { return try File(path: path) } catch {
      guard let index, error.status == .notFound else { throw error }
      throw Failure(.notFound, "\(path): the shard is missing; \(index) names it")
    }
  }
}

/// Which files a path given by the caller stands for.
private struct CheckpointLocation {
  let folder: String
  /// A single safetensors file, or none.
  var files: [String] = []
  /// The index of a sharded checkpoint.
  var index: String?

  init(_ path: String) throws(Failure) {
    if File.isFolder(path) {
      folder = CheckpointLocation.trimmed(path)
      if File.exists(folder + "/model.safetensors") {
        files = [folder + "/model.safetensors"]
      } else if File.exists(folder + "/model.safetensors.index.json") {
        index = folder + "/model.safetensors.index.json"
      } else {
        throw Failure(.notFound, "\(path): neither model.safetensors nor model.safetensors.index.json is there")
      }
      return
    }
    guard File.exists(path) else { throw Failure(.notFound, "\(path): no such file or folder") }
    folder = CheckpointLocation.parent(of: path)
    if CheckpointLocation.has(path, suffix: ".safetensors") {
      files = [path]
    } else if CheckpointLocation.has(path, suffix: ".safetensors.index.json") {
      index = path
    } else {
      throw Failure(.unsupported, "\(path): neither a folder nor a file that ends in .safetensors")
    }
  }

  /// `path` without slashes at its end; the root stays.
  private static func trimmed(_ path: String) -> String {
    var bytes = Array(path.utf8)
    while bytes.count > 1, bytes.last == UInt8(ascii: "/") { bytes.removeLast() }
    return String(decoding: bytes, as: UTF8.self)
  }

  private static func parent(of path: String) -> String { trimmed(File.folder(of: path)) }

  private static func has(_ path: String, suffix: String) -> Bool {
    path.utf8.count >= suffix.utf8.count && path.utf8.suffix(suffix.utf8.count).elementsEqual(suffix.utf8)
  }
}
