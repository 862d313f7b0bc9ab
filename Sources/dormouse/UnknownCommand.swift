import Glibc

/// A first word that is no command: what was meant.
enum UnknownCommand {
  /// Words that other programs have for what a command here does.
  private static let otherNames: [String: String] = [
    "ask": "run", "chat": "run", "complete": "run", "generate": "run", "prompt": "run",
    "serve": "run", "server": "run",
    "listen": "transcribe", "speech": "transcribe", "whisper": "transcribe",
    "list": "info", "ls": "info", "model": "info", "show": "info",
    "encode": "tokenize", "decode": "tokenize", "tokens": "tokenize",
    "benchmark": "bench", "perf": "bench",
  ]

  /// Nil where `word` is a command, or an option.
  static func sentence(for word: String) -> String? {
    let commands = DormouseCommand.configuration.subcommands.compactMap { $0.configuration.commandName }
    guard !word.hasPrefix("-"), !commands.contains(word), word != "help" else { return nil }
    var sentence = "Error: no such command '\(word)'"
    if access(word, F_OK) == 0, word.contains("/") || word.hasSuffix(".safetensors") {
      sentence += "; did you mean 'dormouse run \(word)'?"
    } else if let meant = nearest(word.lowercased(), commands) ?? otherNames[word.lowercased()] {
      sentence += "; did you mean 'dormouse \(meant)'?"
    } else {
      sentence += "."
    }
    return sentence + " The commands are \(commands.joined(separator: ", ")).\n"
      + "Usage: \(DormouseCommand.usageString())\n  See 'dormouse --help' for more information."
  }

  /// The command that takes the fewest changes, if it takes few.
  private static func nearest(_ word: String, _ commands: [String]) -> String? {
    let candidates = commands.map { (name: $0, distance: distance(word, $0)) }
    guard let best = candidates.min(by: { $0.distance < $1.distance }) else { return nil }
    return best.distance <= max(1, best.name.count / 2 - 1) ? best.name : nil
  }

  /// Insertions, deletions and exchanges of characters that make one word of the other (Levenshtein's distance).
  private static func distance(_ one: String, _ other: String) -> Int {
    let other = Array(other)
    var row = Array(0...other.count)
    for (index, character) in one.enumerated() {
      var diagonal = row[0]
      row[0] = index + 1
      for column in other.indices {
        let changed = diagonal + (character == other[column] ? 0 : 1)
        diagonal = row[column + 1]
        row[column + 1] = min(changed, diagonal + 1, row[column] + 1)
      }
    }
    return row[other.count]
  }
}
