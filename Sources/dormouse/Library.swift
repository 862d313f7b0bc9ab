import CDormouse

/// Calls into dormouse.h with Swift's errors: what every command stands on.
enum Library {
  typealias ErrorPointer = UnsafeMutablePointer<dormouse_error>

  /// Runs one call and throws its sentence when it fails. A positive value, which stands for a callback that stopped
  /// the work, is no failure.
  static func call(_ body: (ErrorPointer) -> dormouse_status) throws(CommandFailure) {
    var error = dormouse_error()
    dormouse_error_init(&error)
    let status = body(&error)
    guard status < 0 else { return }
    if status == Int32(DORMOUSE_ERROR_CANCELLED), Interrupt.shared.isRequested { throw .interrupted }
    throw CommandFailure(message: message(of: error, status))
  }

  /// Opens a model with a progress bar; an interrupt stops the loading.
  static func load(
    _ settings: dormouse_engine_options, _ open: (inout dormouse_engine_options, ErrorPointer) -> dormouse_status
  ) throws(CommandFailure) {
    var settings = settings
    let bar = ProgressBar("loading") { "\(Units.bytes($0)) of \(Units.bytes($1))" }
    settings.progress = { bar, done, total in
      guard let bar else { return 0 }
      Unmanaged<ProgressBar>.fromOpaque(bar).takeUnretainedValue().show(done, of: total)
      return Interrupt.shared.isRequested ? 1 : 0
    }
    settings.progress_user_data = Unmanaged.passUnretained(bar).toOpaque()
    defer { ProgressBar.clear() }
    try withExtendedLifetime(bar) { () throws(CommandFailure) in
      try Interrupt.shared.whileStopping(with: {}) { () throws(CommandFailure) in
        try Library.call { open(&settings, $0) }
      }
    }
  }

  private static func message(of error: dormouse_error, _ status: dormouse_status) -> String {
    let text = withUnsafeBytes(of: error.message) { bytes in
      String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }
    return text.isEmpty ? dormouse_status_name(status).map { String(cString: $0) } ?? "status \(status)" : text
  }

  /// What a function delivers into a caller's buffer: asks for the size, then for the contents.
  static func array<Element: BitwiseCopyable>(
    of zero: Element,
    _ body: (UnsafeMutablePointer<Element>?, Int, UnsafeMutablePointer<Int>, ErrorPointer) -> dormouse_status
  ) throws(CommandFailure) -> [Element] {
    var elements: [Element] = []
    // The contents may grow between two calls: numbers of an engine at work have more and more digits.
    while true {
      var count = 0
      let status = try callAllowing(Int32(DORMOUSE_ERROR_BUFFER_TOO_SMALL)) { error in
        elements.withUnsafeMutableBufferPointer { body($0.count == 0 ? nil : $0.baseAddress, $0.count, &count, error) }
      }
      if status == 0 { return Array(elements.prefix(count)) }
      elements = [Element](repeating: zero, count: count)
    }
  }

  static func bytes(
    _ body: (UnsafeMutablePointer<CChar>?, Int, UnsafeMutablePointer<Int>, ErrorPointer) -> dormouse_status
  ) throws(CommandFailure) -> [UInt8] {
    try array(of: CChar(0), body).map { UInt8(bitPattern: $0) }
  }

  static func string(
    _ body: (UnsafeMutablePointer<CChar>?, Int, UnsafeMutablePointer<Int>, ErrorPointer) -> dormouse_status
  ) throws(CommandFailure) -> String {
    String(decoding: try bytes(body), as: UTF8.self)
  }

  private static func callAllowing(
    _ allowed: dormouse_status, _ body: (ErrorPointer) -> dormouse_status
  ) throws(CommandFailure) -> dormouse_status {
    var status: dormouse_status = 0
    try call { error in
      status = body(error)
      return status == allowed ? 0 : status
    }
    return status
  }
}

/// An open engine.
final class OpenEngine {
  let handle: OpaquePointer

  /// Opens the model of `options` with a progress bar; an interrupt stops the loading.
  /// - Parameters:
  ///   - batchLimit: sessions computed at a time; 0: the library's default.
  ///   - mediaConfiguration: the options' `media_config`.
  init(
    _ options: ModelOptions, withoutWeights: Bool = false, batchLimit: UInt32 = 0, mediaConfiguration: String? = nil
  ) throws(CommandFailure) {
    var settings = OpenEngine.settings(options)
    if withoutWeights { settings.flags |= UInt32(DORMOUSE_ENGINE_WITHOUT_WEIGHTS) }
    settings.batch_limit = batchLimit
    settings.log = { _, level, message, length in
      guard let message, level <= 2 else { return }
      let bytes = UnsafeRawBufferPointer(start: message, count: length)
      Console.message("dormouse: " + String(decoding: bytes, as: UTF8.self))
    }
    var opened: OpaquePointer?
    let folder = try options.packedCache?.path(model: options.model)
    try Library.load(settings) { settings, error in
      // The settings point to these strings until the engine is open.
      OpenEngine.withCString(folder) { folder in
        OpenEngine.withCString(mediaConfiguration) { configuration in
          settings.packed_cache_folder = folder
          settings.media_config = configuration
          return dormouse_engine_open(&opened, options.model, &settings, error)
        }
      }
    }
    guard let opened else { throw CommandFailure(message: "\(options.model): the library gave no engine") }
    handle = opened
  }

  deinit { dormouse_engine_free(handle) }

  private static func withCString<Result>(_ text: String?, _ body: (UnsafePointer<CChar>?) -> Result) -> Result {
    if let text { text.withCString(body) } else { body(nil) }
  }

  private static func settings(_ options: ModelOptions) -> dormouse_engine_options {
    var settings = options.machine.settings
    settings.flags = options.noPrefixCache ? UInt32(DORMOUSE_ENGINE_WITHOUT_PREFIX_CACHE) : 0
    settings.weights = options.weights?.code ?? 0
    settings.cache_limit = options.cacheMemory?.bytes ?? 0
    return settings
  }

  /// The JSON document about the model.
  func info() throws(CommandFailure) -> String {
    try Library.string { dormouse_engine_info($0, $1, $2, handle, $3) }
  }

  /// The JSON document about memory, for a session with `settings`.
  func plan(_ settings: dormouse_session_options) throws(CommandFailure) -> String {
    var settings = settings
    return try Library.string { dormouse_engine_plan($0, $1, $2, handle, &settings, $3) }
  }

  /// The JSON document about what the engine has done.
  func statistics() throws(CommandFailure) -> JSONValue {
    let document = try Library.string { dormouse_engine_statistics($0, $1, $2, handle, $3) }
    return try JSONDocument.read(JSONValue.self, Array(document.utf8), name: "the engine's statistics")
  }

  func tokenize(_ text: [UInt8], flags: UInt32) throws(CommandFailure) -> [Int32] {
    let characters = text.map { CChar(bitPattern: $0) }
    return try Library.array(of: Int32(0)) {
      dormouse_engine_tokenize($0, $1, $2, handle, characters, characters.count, flags, $3)
    }
  }

  func detokenize(_ ids: [Int32], flags: UInt32) throws(CommandFailure) -> [UInt8] {
    try Library.bytes { dormouse_engine_detokenize($0, $1, $2, handle, ids, ids.count, flags, $3) }
  }
}
