import ArgumentParser
import DormouseClient

/// The whole program: parses the arguments, runs the command, turns what was thrown into an exit code.
enum CommandLineProgram {
  /// - Returns: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
  static func run() -> Int32 {
    if let word = CommandLine.arguments.dropFirst().first, let sentence = UnknownCommand.sentence(for: word) {
      Console.message(sentence)
      return ExitStatus.wrongUsage
    }
    do {
      Interrupt.shared.start()
      var command = try DormouseCommand.parseAsRoot()
      try command.run()
      return ExitStatus.done
    } catch {
      guard let failure = CommandFailure(error) else { return report(error) }
      if !failure.message.isEmpty { Console.message("dormouse: " + failure.message) }
      return failure.exitStatus
    }
  }

  /// What ArgumentParser throws: a request for help, the version or a completion script, or wrong usage.
  private static func report(_ error: any Error) -> Int32 {
    let text = DormouseCommand.fullMessage(for: error)
    guard DormouseCommand.exitCode(for: error).isSuccess else {
      Console.message(text)
      return ExitStatus.wrongUsage
    }
    let isWritten = (try? Console.write(line: text)) != nil
    return isWritten ? ExitStatus.done : ExitStatus.failed
  }
}

/// The exit codes that scripts may depend on.
enum ExitStatus {
  static let done: Int32 = 0
  static let failed: Int32 = 1
  static let wrongUsage: Int32 = 2
  static let interrupted: Int32 = 130
}

/// Ends a command with a sentence on stderr and an exit code.
struct CommandFailure: Error {
  var message: String
  var exitStatus: Int32 = ExitStatus.failed
  /// Whether even a chat that could go on has to end.
  var endsChat = false

  static let interrupted = CommandFailure(message: "interrupted", exitStatus: ExitStatus.interrupted)

  /// Nobody reads the output any more: there is nothing to say and nobody to say it to.
  static let outputClosed = CommandFailure(message: "", exitStatus: ExitStatus.failed, endsChat: true)

  /// What `command` was given makes no sense: the sentence, and how it is used.
  static func wrongUsage(_ message: String, of command: any ParsableCommand.Type) -> CommandFailure {
    CommandFailure(
      message: message + "\nUsage: " + DormouseCommand.usageString(for: command), exitStatus: ExitStatus.wrongUsage)
  }
}

extension CommandFailure {
  /// What was thrown in a command or by the library; nil for what ArgumentParser throws.
  init?(_ error: any Error) {
    switch error {
    case let failure as CommandFailure: self = failure
    case let error as DormouseError where error.status == .cancelled && Interrupt.shared.isRequested:
      self = .interrupted
    case let error as DormouseError: self.init(message: error.message)
    default: return nil
    }
  }
}

struct DormouseCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "dormouse",
    abstract: "Runs DeepSeek-style open weights from the folder as it was published.",
    discussion: """
      MODEL is a model folder (config.json, safetensors, tokenizer), or a file in one.
      Results go to stdout, progress and messages to stderr. With --json, results are JSON Lines.
      Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
      """,
    version: "dormouse \(Library.version)",
    subcommands: [
      RunCommand.self, TranscribeCommand.self, InfoCommand.self, TokenizeCommand.self, LogitsCommand.self,
      BenchCommand.self, KernelsCommand.self,
    ])
}
