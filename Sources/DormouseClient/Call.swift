internal import CDormouse

typealias ErrorPointer = UnsafeMutablePointer<dormouse_error>

/// Calls of the header's functions, with Swift's errors.
enum Call {
  /// Runs one call and throws what it says when it fails. A positive value, which stands for a callback that stopped
  /// the work, is no failure.
  static func run(_ body: (ErrorPointer) -> dormouse_status) throws(DormouseError) {
    try run(allowing: 0, body)
  }

  /// Makes a handle.
  /// - Parameter name: what it is, for the error when there is none.
  static func open(
    _ name: String, _ body: (UnsafeMutablePointer<OpaquePointer?>, ErrorPointer) -> dormouse_status
  ) throws(DormouseError) -> OpaquePointer {
    var handle: OpaquePointer?
    try run { body(&handle, $0) }
    guard let handle else { throw DormouseError(.internalError, "the library gave no \(name)") }
    return handle
  }

  /// What a function delivers into a caller's buffer: asks for the size, then for the contents.
  static func array<Element: BitwiseCopyable>(
    of zero: Element,
    _ body: (UnsafeMutablePointer<Element>?, Int, UnsafeMutablePointer<Int>, ErrorPointer) -> dormouse_status
  ) throws(DormouseError) -> [Element] {
    var elements: [Element] = []
    // The contents may grow between two calls: numbers of an engine at work have more and more digits.
    while true {
      var count = 0
      let status = try run(allowing: Int32(DORMOUSE_ERROR_BUFFER_TOO_SMALL)) { error in
        elements.withUnsafeMutableBufferPointer { body($0.count == 0 ? nil : $0.baseAddress, $0.count, &count, error) }
      }
      if status == 0 { return Array(elements.prefix(count)) }
      elements = [Element](repeating: zero, count: count)
    }
  }

  static func bytes(
    _ body: (UnsafeMutablePointer<CChar>?, Int, UnsafeMutablePointer<Int>, ErrorPointer) -> dormouse_status
  ) throws(DormouseError) -> [UInt8] {
    try array(of: CChar(0), body).map { UInt8(bitPattern: $0) }
  }

  /// - Parameter name: what the document is, for the error when it can't be read.
  static func document(
    _ name: String,
    _ body: (UnsafeMutablePointer<CChar>?, Int, UnsafeMutablePointer<Int>, ErrorPointer) -> dormouse_status
  ) throws(DormouseError) -> LibraryDocument {
    try LibraryDocument(String(decoding: bytes(body), as: UTF8.self), name: name)
  }

  /// - Returns: the call's status: `allowed`, or not negative.
  @discardableResult
  private static func run(
    allowing allowed: dormouse_status, _ body: (ErrorPointer) -> dormouse_status
  ) throws(DormouseError) -> dormouse_status {
    // As DORMOUSE_ERROR_INIT has it: a newer library's own function would take the struct for its longer one.
    var error = dormouse_error()
    error.struct_size = UInt32(MemoryLayout<dormouse_error>.size)
    let status = body(&error)
    guard status < 0, status != allowed else { return status }
    throw DormouseError(error, status)
  }
}

extension DormouseError {
  fileprivate init(_ error: dormouse_error, _ code: dormouse_status) {
    let text = withUnsafeBytes(of: error.message) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
    status = Status(rawValue: code)
    message = text.isEmpty ? status.name : text
  }
}

/// Runs `body` with a C string of `text`, or with NULL where there is none.
func withCString<Result>(_ text: String?, _ body: (UnsafePointer<CChar>?) -> Result) -> Result {
  if let text { text.withCString(body) } else { body(nil) }
}

extension String {
  /// - Parameter characters: UTF-8, not NUL-terminated; NULL when there are none.
  init(_ characters: UnsafePointer<CChar>?, count: Int) {
    self.init(decoding: UnsafeRawBufferPointer(start: characters, count: characters == nil ? 0 : count), as: UTF8.self)
  }
}
