import ArgumentParser
import DormouseClient

struct TranscribeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "transcribe",
    abstract: "Writes down what is said in audio.",
    discussion: """
      MODEL is a Whisper folder, FILE any file with audio. Each line has the seconds from and to which something was \
      said. With --json a line for each segment has them and how sure the model was, and the last one the whole text.
      """)

  @Argument(help: "A Whisper folder, or a file in one.", completion: .file())
  var model: String

  @Argument(help: "A file with audio.", completion: .file())
  var file: String

  @OptionGroup var machine: MachineOptions
  @OptionGroup var output: OutputOptions

  @Option(help: ArgumentHelp("What is spoken, such as en; by default it is detected.", valueName: "code"))
  var language: String?

  @Option(help: "Write what was said, or its translation into English.")
  var task: OpenTranscriber.Task?

  func run() throws {
    // A missing file shows before the weights are loaded.
    let audio = try MediaAttachment(.audio, path: try FilePath.absolute(file))
    let transcriber = try machine.openTranscriber(model)
    var options = OpenTranscriber.TranscriptionOptions()
    options.language = language
    options.task = task
    var segments: [Segment] = []
    try Interrupt.shared.whileStopping(with: { transcriber.cancel() }) {
      try transcriber.run(audio, options) { segment in
        let segment = Segment(segment)
        segments.append(segment)
        try Console.write(line: output.json ? JSONDocument.line(segment) : segment.line)
        if Interrupt.shared.isRequested { throw CommandFailure.interrupted }
      }
      if Interrupt.shared.isRequested { throw CommandFailure.interrupted }
    }
    if output.json { try Console.write(line: JSONDocument.line(End(segments))) }
  }

  private struct Segment: Encodable {
    let event = "segment"
    let start: Double
    let end: Double
    let text: String
    let language: String?
    let temperature: Float
    let average_log_probability: Double
    let compression_ratio: Double
    let no_speech_probability: Double

    init(_ segment: OpenTranscriber.Segment) {
      start = segment.start
      end = segment.end
      text = segment.text
      language = segment.language
      temperature = segment.temperature
      average_log_probability = segment.averageLogProbability
      compression_ratio = segment.compressionRatio
      no_speech_probability = segment.noSpeechProbability
    }

    /// For people.
    var line: String { "[\(Units.decimal(start, digits: 2)) - \(Units.decimal(end, digits: 2))]\(text)" }
  }

  private struct End: Encodable {
    let event = "end"
    let text: String
    let language: String?

    init(_ segments: [Segment]) {
      text = segments.map(\.text).joined()
      language = segments.first?.language
    }
  }
}
