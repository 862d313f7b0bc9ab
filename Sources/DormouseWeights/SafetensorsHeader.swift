public import DormouseSupport

/// The header of one safetensors file, read and validated.
///
///     byte 0      8              8 + n                              file size
///          | n    | JSON object  | data of the tensors, back to back |
///
/// n is a little-endian 64-bit integer. The object maps each tensor's name to `dtype`, `shape` and `data_offsets`
/// (begin and end, counted from the start of the data), and may hold an object of strings called `__metadata__`.
/// The checks are those of the reference, https://github.com/huggingface/safetensors (`safetensors/src/tensor.rs`):
/// the tensors cover the data exactly, without overlap and without a hole. Of a tensor whose type Dormouse does not know
/// only the place can be checked.
public struct SafetensorsHeader: Sendable {
  /// Bytes of JSON at most; the reference has the same limit.
  public static let byteLimit = 100_000_000
  /// Tensors of one file at most: five times those of all shards of DeepSeek-V3 together. It keeps the memory that
  /// a hostile header can demand to about a gigabyte.
  public static let tensorLimit = 500_000
  /// Bytes in front of the JSON.
  public static let prefixByteCount = 8

  /// In the order of their bytes in the file.
  public let tensors: [TensorRecord]
  /// Those of types that Dormouse does not read, in the same order.
  public let unread: [UnreadTensor]

  /// Reads and validates the header of `file`.
  /// - Throws: `Failure(.malformed)`, `Failure(.inputOutput)`; each names the file, and the tensor where there is one.
  public init(file: File, fileIndex: Int) throws(Failure) {
    try GitPointer.refuse(file)
    let prefix = try file.read(at: 0, count: min(file.size, SafetensorsHeader.prefixByteCount))
    let length = try withContext(file.path) { () throws(Failure) in
      try SafetensorsHeader.length(prefix: prefix, fileSize: file.size)
    }
    let json = try file.read(at: SafetensorsHeader.prefixByteCount, count: length)
    let outcome: Result<SafetensorsHeader, Failure> = json.withUnsafeBytes { bytes in
      do throws(Failure) {
        return .success(try SafetensorsHeader(json: bytes, fileSize: file.size, fileIndex: fileIndex))
      } catch { return .failure(error.prefixed(file.path)) }
    }
    self = try outcome.get()
  }

  /// The byte count of the JSON that the 8 bytes of `prefix` announce, checked against the file's size.
  public static func length(prefix: [UInt8], fileSize: Int) throws(Failure) -> Int {
    guard prefix.count == prefixByteCount, fileSize >= prefixByteCount else {
      throw Failure(
        .malformed, "the file has \(fileSize) bytes; a safetensors file begins with an 8-byte header length")
    }
    let announced = prefix.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    guard let length = Int(exactly: announced), length <= byteLimit else {
      throw Failure(.malformed, "the header length is \(announced) bytes, more than the limit of \(byteLimit)")
    }
    guard length >= 2 else {
      throw Failure(.malformed, "the header length is \(length) bytes, too short for a JSON object")
    }
    guard length <= fileSize - prefixByteCount else {
      throw Failure(
        .malformed,
        "the header length is \(length) bytes, but only \(fileSize - prefixByteCount) follow: the file is truncated")
    }
    return length
  }

  /// Validates the JSON of a header of a file of `fileSize` bytes.
  public init(json: UnsafeRawBufferPointer, fileSize: Int, fileIndex: Int) throws(Failure) {
    let dataOffset = try CheckedSize.sum(SafetensorsHeader.prefixByteCount, json.count, of: "the header's length")
    guard dataOffset <= fileSize else {
      throw Failure(.malformed, "the header ends at byte \(dataOffset) of a file of \(fileSize) bytes")
    }
    guard json.first == UInt8(ascii: "{") else {
      throw Failure(.malformed, "the header does not begin with '{'")
    }
    let limits = JSON.Limits(
      bytes: SafetensorsHeader.byteLimit, depth: 8, containers: 3 * SafetensorsHeader.tensorLimit + 2)
    let root = try withContext("header") { () throws(Failure) in try JSON.parse(json, limits: limits) }
    guard let members = root.objectValue else {
      throw Failure(.malformed, "the header is \(root.typeName), not an object")
    }
    var tensors: [TensorRecord] = []
    tensors.reserveCapacity(members.count)
    var unread: [UnreadTensor] = []
    for (name, value) in members {
      if name == SafetensorsHeader.metadataKey {
        try SafetensorsHeader.checkMetadata(value)
      } else {
        let reader = TensorEntryReader(dataOffset: dataOffset, dataSize: fileSize - dataOffset, fileIndex: fileIndex)
        try withContext("tensor \(Excerpt.name(name))") { () throws(Failure) in
          switch try reader.read(value, name: name) {
          case .known(let tensor): tensors.append(tensor)
          case .unread(let tensor): unread.append(tensor)
          }
        }
      }
    }
    // An empty tensor goes before the one that begins where it lies.
    self.tensors = tensors.sorted { ($0.offset, $0.byteCount) < ($1.offset, $1.byteCount) }
    self.unread = unread.sorted { ($0.offset, $0.byteCount) < ($1.offset, $1.byteCount) }
    let spans = tensors.map { Span(name: $0.name, offset: $0.offset, byteCount: $0.byteCount) }
    let others = unread.map { Span(name: $0.name, offset: $0.offset, byteCount: $0.byteCount) }
    try SafetensorsHeader.checkCover(spans + others, from: dataOffset, to: fileSize)
  }

  /// Where a tensor of any type lies in the file.
  private struct Span {
    let name: String
    let offset: Int
    let byteCount: Int
  }

  private static let metadataKey = "__metadata__"

  private static func checkMetadata(_ value: JSON) throws(Failure) {
    guard let members = value.objectValue else {
      throw Failure(.malformed, "\(metadataKey) is \(value.typeName), not an object of strings")
    }
    for (key, value) in members where value.stringValue == nil {
      throw Failure(.malformed, "\(metadataKey): \(Excerpt.name(key)) is \(value.typeName), not a string")
    }
  }

  /// The tensors' bytes must be `start..<end` without overlap or hole.
  private static func checkCover(_ tensors: [Span], from start: Int, to end: Int) throws(Failure) {
    var covered = start
    var previous: Span?
    for tensor in tensors.sorted(by: { ($0.offset, $0.byteCount) < ($1.offset, $1.byteCount) }) {
      let begin = tensor.offset - start
      if tensor.offset < covered {
        throw Failure(
          .malformed,
          "tensor \(Excerpt.name(tensor.name)) begins at byte \(begin) of the data and overlaps "
            + "\(Excerpt.name(previous?.name ?? "")), which ends at byte \(covered - start)")
      }
      if tensor.offset > covered {
        throw Failure(
          .malformed,
          "no tensor covers bytes \(covered - start) to \(begin) of the data, before tensor \(Excerpt.name(tensor.name))"
        )
      }
      covered += tensor.byteCount
      previous = tensor
    }
    guard covered == end else {
      throw Failure(
        .malformed,
        "the data has \(end - start) bytes, but the tensors end at byte \(covered - start)")
    }
  }
}

/// Reads one member of a header's object.
private struct TensorEntryReader {
  let dataOffset: Int
  let dataSize: Int
  let fileIndex: Int

  enum Entry {
    case known(TensorRecord)
    case unread(UnreadTensor)
  }

  func read(_ value: JSON, name: String) throws(Failure) -> Entry {
    guard value.objectValue != nil else {
      throw Failure(.malformed, "expected an object with dtype, shape and data_offsets, found \(value.typeName)")
    }
    let typeName = try typeName(value["dtype"])
    let shape = try integers(value["shape"], "shape")
    let offsets = try integers(value["data_offsets"], "data_offsets")
    guard offsets.count == 2, let begin = offsets.first, let end = offsets.last else {
      throw Failure(.malformed, "data_offsets has \(offsets.count) elements, not 2")
    }
    guard begin <= end else { throw Failure(.malformed, "data_offsets end before they begin: [\(begin), \(end)]") }
    guard end <= dataSize else {
      throw Failure(
        .malformed, "data_offsets end at byte \(end), but the file has only \(dataSize) bytes of data: it is truncated")
    }
    let elements = try CheckedSize.product(shape, of: "shape")
    guard let type = TensorType(rawValue: typeName) else {
      let tensor = UnreadTensor(
        name: name, typeName: typeName, fileIndex: fileIndex, offset: dataOffset + begin, byteCount: end - begin)
      if let bits = tensor.elementBitCount {
        let bitCount = try CheckedSize.product(elements, bits, of: "shape x bits of \(typeName)")
        try requireSize(CheckedSize.ceilingQuotient(bitCount, 8), shape, typeName, begin, end)
      }
      return .unread(tensor)
    }
    let byteCount = try CheckedSize.product(elements, type.byteCount, of: "shape x bytes of \(type.rawValue)")
    try requireSize(byteCount, shape, typeName, begin, end)
    return .known(
      TensorRecord(
        name: name, type: type, shape: shape, fileIndex: fileIndex, offset: dataOffset + begin, byteCount: byteCount))
  }

  private func requireSize(
    _ byteCount: Int, _ shape: [Int], _ type: String, _ begin: Int, _ end: Int
  ) throws(Failure) {
    guard byteCount == end - begin else {
      throw Failure(
        .malformed,
        "shape \(shape) of \(type) needs \(byteCount) bytes, but data_offsets [\(begin), \(end)] hold \(end - begin)")
    }
  }

  private func typeName(_ value: JSON?) throws(Failure) -> String {
    guard let value else { throw Failure(.malformed, "dtype is missing") }
    guard let name = value.stringValue else {
      throw Failure(.malformed, "dtype is \(value.typeName), not a string")
    }
    return name
  }

  private func integers(_ value: JSON?, _ field: String) throws(Failure) -> [Int] {
    guard let value else { throw Failure(.malformed, "\(field) is missing") }
    guard let elements = value.arrayValue else {
      throw Failure(.malformed, "\(field) is \(value.typeName), not an array of integers")
    }
    var result: [Int] = []
    result.reserveCapacity(elements.count)
    for (index, element) in elements.enumerated() {
      guard let integer = element.integerValue, let number = Int(exactly: integer), number >= 0 else {
        throw Failure(.malformed, "\(field)[\(index)] is \(describe(element)), not an integer of 0 or more")
      }
      result.append(number)
    }
    return result
  }

  private func describe(_ value: JSON) -> String {
    switch value {
    case .integer, .largeInteger, .number, .bool, .null: Excerpt.json(value)
    case .string(let text): Excerpt.name(text)
    case .array, .object: value.typeName
    }
  }
}
