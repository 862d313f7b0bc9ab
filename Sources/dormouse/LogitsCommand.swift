import ArgumentParser
import DormouseClient

struct LogitsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "logits",
    abstract: "Writes the logits after each of the given tokens.",
    discussion: "OUT.safetensors then holds one float32 tensor, 'logits' [tokens, vocabulary].")

  @OptionGroup var model: ModelOptions
  @OptionGroup var output: OutputOptions

  @Option(
    name: .customLong("ids"), help: ArgumentHelp("A JSON array of token ids; - reads stdin.", valueName: "file"),
    completion: .file(extensions: ["json"]))
  var idsFile: String

  @Option(
    name: .customLong("output"), help: ArgumentHelp("The file to write.", valueName: "out.safetensors"),
    completion: .file(extensions: ["safetensors"]))
  var outputFile: String

  @Flag(help: "Compute attention in its absorbed form; else in its expanded form.")
  var absorbed = false

  /// Bytes of logits held at a time.
  private static let chunkBytes = 16 << 20

  func run() throws {
    let ids = try JSONDocument.ids(try Console.readFile(idsFile), name: idsFile)
    guard !ids.isEmpty else { throw CommandFailure(message: "\(idsFile): there are no ids in it") }
    let engine = try model.open()
    let facts = try ModelFacts(engine)
    var settings = model.session
    if model.context == nil { settings.contextLength = UInt32(clamping: ids.count) }
    settings.attention = absorbed ? .absorbed : .expanded
    let session = try OpenSession(engine, settings)
    try Interrupt.shared.whileCancelling([session]) {
      let file = try SafetensorsWriter(outputFile, tensor: "logits", shape: [ids.count, facts.vocabularySize])
      try write(ids, session, facts.vocabularySize, file)
      try file.finish()
    }
    try report(ids.count, facts.vocabularySize)
  }

  private func write(
    _ ids: [Int32], _ session: OpenSession, _ vocabularySize: Int, _ file: SafetensorsWriter
  ) throws {
    let bar = ProgressBar("computing") { "\($0) of \($1) tokens" }
    defer { ProgressBar.clear() }
    let chunk = max(1, LogitsCommand.chunkBytes / (max(1, vocabularySize) * MemoryLayout<Float>.size))
    var logits = [Float](repeating: 0, count: min(chunk, ids.count) * vocabularySize)
    for start in stride(from: 0, to: ids.count, by: chunk) {
      if Interrupt.shared.isRequested { throw CommandFailure.interrupted }
      let part = ids[start..<min(start + chunk, ids.count)]
      try session.prefill(part, logits: &logits)
      try file.append(logits[..<(part.count * vocabularySize)])
      bar.show(UInt64(part.endIndex), of: UInt64(ids.count))
    }
  }

  private func report(_ tokens: Int, _ vocabulary: Int) throws(CommandFailure) {
    if output.json {
      try Console.write(
        line: JSONDocument.line(Report(output: outputFile, tokens: tokens, vocabulary_size: vocabulary)))
    } else {
      Console.message("\(outputFile): logits [\(tokens), \(vocabulary)]")
    }
  }

  private struct Report: Encodable {
    var output: String
    var tokens: Int
    var vocabulary_size: Int
  }
}
