public import DormouseSupport

extension ModelFolder {
  /// What a saved session must have been computed with: the precision, and hashes of the configuration and of samples of
  /// the weights. Paths and times are no part of it: a session may go where a copy of the model is.
  ///
  /// Reads up to `sampleCount` pieces of each file, not the whole: weights that differ in none of them pass for equal.
  /// - Throws: `Failure(.inputOutput)` for files that cannot be read.
  public func identity() throws(Failure) -> [UInt8] {
    let configuration = try File(path: "\(path)/config.json").readAll(limit: ModelFolder.configurationLimit)
    var text = "precision \(precision.rawValue)\nconfig \(XXHash64.hash(configuration))\n"
    for path in checkpoint.files {
      let file = try File(path: path)
      text += "file \(file.size) \(XXHash64.hash(try ModelFolder.samples(of: file)))\n"
    }
    return Array(text.utf8)
  }

  private static let configurationLimit = 64 << 20
  private static let sampleCount = 64
  private static let sampleByteCount = 16 << 10

  /// The beginning of the file, its end, and what lies evenly between.
  private static func samples(of file: File) throws(Failure) -> [UInt8] {
    guard file.size > sampleCount * sampleByteCount else { return try file.read(at: 0, count: file.size) }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(sampleCount * sampleByteCount)
    let step = (file.size - sampleByteCount) / (sampleCount - 1)
    for sample in 0..<sampleCount { bytes += try file.read(at: sample * step, count: sampleByteCount) }
    return bytes
  }
}
