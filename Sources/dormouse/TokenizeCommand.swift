import ArgumentParser
import DormouseClient

struct TokenizeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tokenize",
    abstract: "Turns text on stdin into token ids, or back.",
    discussion: """
      The text is taken to the last byte, its line break included. With --decode, ids on stdin are a JSON array, or \
      numbers between white space. With --json the ids are one JSON array, the text one JSON string.
      """)

  @OptionGroup var model: ModelOptions
  @OptionGroup var output: OutputOptions

  @Flag(help: "From ids to text.")
  var decode = false

  @Flag(help: "Add what the tokenizer puts around a text, such as the beginning-of-sequence token.")
  var addSpecial = false

  @Flag(help: "Take control tokens written in the text as such.")
  var parseSpecial = false

  @Flag(help: "With --decode: leave control tokens out.")
  var skipSpecial = false

  func validate() throws {
    if decode, addSpecial || parseSpecial {
      throw ValidationError("--decode takes neither --add-special nor --parse-special.")
    }
    if skipSpecial, !decode { throw ValidationError("--skip-special goes with --decode.") }
  }

  func run() throws {
    let input = try Console.readInput()
    let engine = try model.open(withoutWeights: true)
    if decode {
      try write(text: try engine.detokenize(try TokenizeCommand.ids(input), skipsSpecial: skipSpecial))
    } else {
      try write(ids: try engine.tokenize(input, addsSpecial: addSpecial, parsesSpecial: parseSpecial))
    }
  }

  private func write(ids: [Int32]) throws(CommandFailure) {
    try Console.write(line: output.json ? JSONDocument.line(ids) : ids.map(String.init).joined(separator: " "))
  }

  /// Bytes as they are, so that text -> ids -> text is the same file; JSON has strings only.
  private func write(text: [UInt8]) throws(CommandFailure) {
    if output.json {
      try Console.write(line: JSONDocument.line(String(decoding: text, as: UTF8.self)))
    } else {
      try Console.write(text)
    }
  }

  /// A JSON array, or numbers between white space.
  private static func ids(_ input: [UInt8]) throws(CommandFailure) -> [Int32] {
    let text = String(decoding: input, as: UTF8.self)
    if text.first(where: { !$0.isWhitespace }) == "[" { return try JSONDocument.ids(input, name: "stdin") }
    var ids: [Int32] = []
    for word in text.split(whereSeparator: \.isWhitespace) {
      guard let id = Int32(word) else {
        throw CommandFailure(message: "stdin: '\(word.prefix(40))' is not a token id")
      }
      ids.append(id)
    }
    return ids
  }
}
