import DormouseClient

extension ModelOptions {
  /// Opens the model with a progress bar; an interrupt stops the loading.
  /// - Parameter batchLimit: sessions computed at a time; 0: the library's default.
  func open(
    withoutWeights: Bool = false, batchLimit: UInt32 = 0, media: OpenEngine.MediaOptions? = nil
  ) throws -> OpenEngine {
    var options = machine.options
    options.withoutWeights = withoutWeights
    options.withoutPrefixCache = noPrefixCache
    options.weights = weights
    options.cacheLimit = cacheMemory?.bytes ?? 0
    options.batchLimit = batchLimit
    options.packedCacheFolder = try packedCache?.path(model: model)
    options.media = media
    options.log = { level, message in
      if level <= .warning { Console.message("dormouse: " + message) }
    }
    return try whileShowingProgress(options) { try OpenEngine(model, $0) }
  }

  /// Those of a session.
  var session: OpenSession.Options {
    var options = OpenSession.Options()
    options.contextLength = context ?? 0
    options.cache = cache
    return options
  }
}

extension MachineOptions {
  /// Opens a Whisper folder with a progress bar; an interrupt stops the loading.
  func openTranscriber(_ model: String) throws -> OpenTranscriber {
    try whileShowingProgress(options) { try OpenTranscriber(model, $0) }
  }

  fileprivate var options: OpenEngine.Options {
    var options = OpenEngine.Options()
    options.threadCount = threads ?? 0
    options.pinsThreads = pin
    options.residency = residency
    options.memoryLimit = memory?.bytes ?? 0
    return options
  }
}

private func whileShowingProgress<Opened>(
  _ options: OpenEngine.Options, _ open: (OpenEngine.Options) throws -> Opened
) throws -> Opened {
  var options = options
  let bar = ProgressBar("loading") { "\(Units.bytes($0)) of \(Units.bytes($1))" }
  options.progress = { done, total in
    bar.show(done, of: total)
    return !Interrupt.shared.isRequested
  }
  defer { ProgressBar.clear() }
  return try Interrupt.shared.whileStopping(with: {}) { try open(options) }
}
