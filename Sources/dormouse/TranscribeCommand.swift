import ArgumentParser
import CDormouse

struct TranscribeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "transcribe",
    abstract: "Writes down what is said in a sound.",
    discussion: """
      MODEL is a Whisper folder, FILE any file with sound. Each line has the seconds from and to which something was \
      said. With --json a line for each segment has them and how sure the model was, and the last one the whole text.
      """)

  @Argument(help: "A Whisper folder, or a file in one.", completion: .file())
  var model: String

  @Argument(help: "A file with sound.", completion: .file())
  var file: String

  @OptionGroup var machine: MachineOptions
  @OptionGroup var output: OutputOptions

  @Option(help: ArgumentHelp("What is spoken, such as en; by default it is detected.", valueName: "code"))
  var language: String?

  @Option(help: "Write what was said, or its translation into English.")
  var task: TaskChoice?

  enum TaskChoice: String, ExpressibleByArgument, CaseIterable {
    case transcribe, translate
  }

  func run() throws {
    // A missing file shows before the weights are loaded.
    let sound = try OpenSound(try MediaChoices.absolute(file))
    let transcriber = try OpenTranscriber(model, machine)
    var segments: [Segment] = []
    let configuration = try JSONDocument.line(Configuration(language: language, task: task?.rawValue))
    try transcriber.run(sound, configuration: configuration) { (segment) throws(CommandFailure) in
      let segment = Segment(segment)
      segments.append(segment)
      try Console.write(line: output.json ? JSONDocument.line(segment) : segment.line)
      if Interrupt.shared.isRequested { throw .interrupted }
    }
    if output.json { try Console.write(line: JSONDocument.line(End(segments))) }
  }

  private struct Configuration: Encodable {
    let language: String?
    let task: String?
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

    init(_ segment: dormouse_segment) {
      func string(_ characters: UnsafePointer<CChar>?, _ count: Int) -> String? {
        characters.map { String(decoding: UnsafeRawBufferPointer(start: $0, count: count), as: UTF8.self) }
      }
      start = segment.start
      end = segment.end
      text = string(segment.text, segment.text_length) ?? ""
      language = string(segment.language, segment.language_length)
      temperature = segment.temperature
      average_log_probability = segment.average_log_probability
      compression_ratio = segment.compression_ratio
      no_speech_probability = segment.no_speech_probability
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
