import ArgumentParser
import DormouseClient

/// What a session of `run` does besides answering.
struct SessionChoices: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Go on from the session saved in this file, if it is there, and save it there at the end.", valueName: "file"),
    completion: .file())
  var session: String?

  @Option(help: "When the context is full: end the answer, or drop the oldest tokens.")
  var overflow: OpenSession.Overflow?

  @Option(help: ArgumentHelp("With --overflow slide: tokens at the beginning that always stay.", valueName: "n"))
  var keepTokens: UInt32?

  @Option(
    help: ArgumentHelp("End an answer after this time; before its first token, fail.", valueName: "seconds"))
  var timeLimit: Double?

  @Flag(help: "Tell at the end what the engine has done.")
  var statistics = false

  func validate() throws {
    if session == "" { throw ValidationError("--session must name a file.") }
    if keepTokens != nil, overflow != .slide { throw ValidationError("--keep-tokens goes with --overflow slide.") }
    if let timeLimit, !(timeLimit > 0 && timeLimit <= 1e9) {
      throw ValidationError("--time-limit must be above 0, and at most 1000000000.")
    }
  }

  func apply(to settings: inout OpenSession.Options) {
    settings.overflow = overflow
    settings.keepTokens = keepTokens ?? 0
  }
}
