internal import CHost
internal import CJSON

extension JSON {
  /// What a document may cost at most.
  public struct Limits: Sendable {
    /// Bytes of the whole document.
    public var bytes: Int
    /// Arrays and objects inside one another.
    public var depth: Int
    /// Arrays and objects in all. An empty one costs two bytes of text and up to a kilobyte of memory.
    public var containers: Int

    /// Values of every kind. A number costs two bytes of text and about a hundred of memory.
    public var values: Int

    public init(
      bytes: Int = 16 << 20, depth: Int = 64, containers: Int = 1_000_000, values: Int = 8_000_000
    ) {
      self.bytes = bytes
      self.depth = depth
      self.containers = containers
      self.values = values
    }
  }

  /// Parses one strict JSON document: valid UTF-8, no comments, no trailing text, no NaN, no key twice in an object.
  ///
  /// The work is json-c's; this function only checks what json-c tolerates and turns its tree into Swift values.
  /// - Throws: `Failure(.malformed)` with the byte offset where parsing stopped; `.outOfMemory`.
  public static func parse(_ bytes: UnsafeRawBufferPointer, limits: Limits = Limits()) throws(Failure) -> JSON {
    guard bytes.count <= limits.bytes, let length = Int32(exactly: bytes.count) else {
      throw Failure(.malformed, "the JSON document has \(bytes.count) bytes, more than the limit of \(limits.bytes)")
    }
    guard length > 0 else { throw Failure(.malformed, "the JSON document is empty") }
    let census = JSONCensus(of: bytes)
    guard census.containers <= limits.containers else {
      throw Failure(
        .malformed,
        "the JSON document has \(census.containers) arrays and objects, more than the limit of \(limits.containers)")
    }
    guard census.values <= limits.values else {
      throw Failure(
        .malformed, "the JSON document has \(census.values) values, more than the limit of \(limits.values)")
    }
    let refused = host_refused_allocations()
    do throws(Failure) {
      let value = try parse(bytes, length: length, census: census, depth: limits.depth)
      guard host_refused_allocations() == refused else { throw JSON.noMemory }
      return value
    } catch {
      // json-c may go on without what it had no memory for, and then blame the text.
      throw host_refused_allocations() == refused ? error : JSON.noMemory
    }
  }

  private static var noMemory: Failure { Failure(.outOfMemory, "no memory for a JSON document") }

  /// - Parameter length: of `bytes`, not 0.
  private static func parse(
    _ bytes: UnsafeRawBufferPointer, length: Int32, census: JSONCensus, depth: Int
  ) throws(Failure) -> JSON {
    // json-c writes to its first level even where it was given none.
    guard let base = bytes.baseAddress, let tokener = json_tokener_new_ex(Int32(clamping: max(depth, 1))) else {
      throw noMemory
    }
    defer { json_tokener_free(tokener) }
    json_tokener_set_flags(tokener, Int32(JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8))
    var root = json_tokener_parse_ex(tokener, base.assumingMemoryBound(to: CChar.self), length)
    defer { json_object_put(root) }
    var end = json_tokener_get_parse_end(tokener)
    if json_tokener_get_error(tokener) == json_tokener_continue {
      // A bare number is only complete when the end of the text is announced.
      var terminator: CChar = 0
      root = json_tokener_parse_ex(tokener, &terminator, 1)
      end = bytes.count
    }
    try checkOutcome(json_tokener_get_error(tokener), end: end, in: bytes)
    try census.check()
    var conversion = Conversion(extremeIntegers: census.extremeIntegers)
    let value = try conversion.document(root)
    guard conversion.members == census.members else {
      throw Failure(.malformed, "a JSON object holds the same key twice\(duplicateKeyName(in: bytes))")
    }
    return value
  }

  /// Parses the UTF-8 bytes of `text`.
  public static func parse(_ text: String, limits: Limits = Limits()) throws(Failure) -> JSON {
    try parse(Array(text.utf8), limits: limits)
  }

  /// Parses a document that a caller gave as the argument `name`: what is wrong with it is the caller's mistake.
  /// - Throws: `Failure(.invalidArgument)`.
  public static func parse(argument text: String, name: String, limits: Limits = Limits()) throws(Failure) -> JSON {
    do throws(Failure) { return try parse(text, limits: limits) } catch {
      throw Failure(error.status == .malformed ? .invalidArgument : error.status, "\(name): \(error.message)")
    }
  }

  public static func parse(_ bytes: [UInt8], limits: Limits = Limits()) throws(Failure) -> JSON {
    let outcome: Result<JSON, Failure> = bytes.withUnsafeBytes { buffer in
      do throws(Failure) { return .success(try parse(buffer, limits: limits)) } catch { return .failure(error) }
    }
    return try outcome.get()
  }

  private static func checkOutcome(
    _ error: json_tokener_error, end: Int, in bytes: UnsafeRawBufferPointer
  ) throws(Failure) {
    guard error == json_tokener_success else {
      let reason = json_tokener_error_desc(error).map { String(cString: $0) } ?? "unknown error"
      throw Failure(.malformed, "not valid JSON at byte \(end): \(reason)")
    }
    for index in end..<bytes.count where !isWhiteSpace(bytes[index]) {
      throw Failure(.malformed, "not valid JSON at byte \(index): text after the end of the document")
    }
  }

  private static func isWhiteSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
}

/// Turns json-c's tree into Swift values, in document order.
private struct Conversion {
  /// Object members met.
  private(set) var members = 0
  /// From the census: what stands in the text for each integer that json-c gives as its smallest or largest one.
  private let extremeIntegers: [JSON]
  private var extremesMet = 0
  /// Characters of an integer at most, as in Python.
  private static let digitLimit = 4300
  /// Where in the document the conversion stands, from the outside inwards.
  private var path: [Step] = []

  private enum Step {
    case member(String)
    case element(Int)
  }

  init(extremeIntegers: [JSON]) { self.extremeIntegers = extremeIntegers }

  /// - Throws: `Failure(.malformed)` naming the member at fault.
  mutating func document(_ root: OpaquePointer?) throws(Failure) -> JSON {
    do throws(Failure) { return try value(of: root) } catch { throw error.prefixed(place) }
  }

  /// The path as it would be written in a program: `rope.factors[2]`.
  private var place: String {
    var text = ""
    for step in path {
      switch step {
      case .member(let key): text += (text.isEmpty ? "" : ".") + Excerpt.text(key)
      case .element(let index): text += "[\(index)]"
      }
    }
    return text.isEmpty ? "the document" : text
  }

  /// The recursion is as deep as json-c's tree, which its depth limit bounds. After a failure `path` says where.
  private mutating func value(of node: OpaquePointer?) throws(Failure) -> JSON {
    guard let node else { return .null }
    switch json_object_get_type(node) {
    case json_type_boolean: return .bool(json_object_get_boolean(node) != 0)
    case json_type_int: return try integer(node)
    case json_type_double: return try finite(json_object_get_double(node))
    case json_type_string: return .string(text(json_object_get_string(node), json_object_get_string_len(node)))
    case json_type_array:
      let count = json_object_array_length(node)
      var values: [JSON] = []
      values.reserveCapacity(count)
      for index in 0..<count {
        path.append(.element(index))
        values.append(try value(of: json_object_array_get_idx(node, index)))
        path.removeLast()
      }
      return .array(values)
    case json_type_object:
      var object = JSONObject()
      var entry = json_object_get_object(node)?.pointee.head
      while let current = entry {
        let key = current.pointee.k.map { String(cString: $0.assumingMemoryBound(to: CChar.self)) } ?? ""
        path.append(.member(key))
        object[key] = try value(of: current.pointee.v.map { OpaquePointer($0) })
        path.removeLast()
        members += 1
        entry = current.pointee.next
      }
      return .object(object)
    default: return .null
    }
  }

  private mutating func integer(_ node: OpaquePointer) throws(Failure) -> JSON {
    let value = json_object_get_int64(node)
    // Beyond Int64.max the signed getter clamps, and the unsigned one tells.
    let unsigned = value == .max ? json_object_get_uint64(node) : 0
    if value == .min || unsigned == .max, extremesMet < extremeIntegers.count {
      extremesMet += 1
      let meant = extremeIntegers[extremesMet - 1]
      if case .largeInteger(let digits) = meant, digits.utf8.count > Conversion.digitLimit {
        throw Failure(
          .malformed, "the integer has \(digits.utf8.count) characters, more than the limit of \(Conversion.digitLimit)"
        )
      }
      return meant
    }
    return unsigned > UInt64(Int64.max) ? .largeInteger(String(unsigned)) : .integer(value)
  }

  private func finite(_ number: Double) throws(Failure) -> JSON {
    guard number.isFinite else {
      throw Failure(.malformed, "the number is not finite; JSON has no NaN and no Infinity")
    }
    return .number(number)
  }

  private func text(_ pointer: UnsafePointer<CChar>?, _ length: Int32) -> String {
    guard let pointer else { return "" }
    return String(decoding: UnsafeRawBufferPointer(start: pointer, count: Int(length)), as: UTF8.self)
  }
}

extension JSON {
  /// The first key found twice in one object, for the error message; empty when it is written in two spellings.
  private static func duplicateKeyName(in bytes: UnsafeRawBufferPointer) -> String {
    var seen: [Set<String>] = []
    var last = ""
    var duplicate: String?
    var index = 0
    while index < bytes.count, duplicate == nil {
      switch bytes[index] {
      case UInt8(ascii: "\""):
        let range = JSONCensus.string(in: bytes, after: index)
        last = String(decoding: bytes[range], as: UTF8.self)
        index = range.upperBound
      case UInt8(ascii: "{"), UInt8(ascii: "["): seen.append([])
      case UInt8(ascii: "}"), UInt8(ascii: "]"): _ = seen.popLast()
      case UInt8(ascii: ":"):
        if let top = seen.indices.last, !seen[top].insert(last).inserted { duplicate = last }
      default: break
      }
      index += 1
    }
    return duplicate.map { ": '\($0)'" } ?? ""
  }
}
