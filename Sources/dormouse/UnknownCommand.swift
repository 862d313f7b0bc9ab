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

  /// Insertions, deletions, exchanges and swaps of neighbours that make one word of the other (optimal string alignment).
  private static func distance(_ one: String, _ other: String) -> Int {
    let (one, other) = (Array(one), Array(other))
    var before: [Int] = []
    var last = Array(0...other.count)
    for row in one.indices {
      var next = [row + 1]
      for column in other.indices {
        let changed = last[column] + (one[row] == other[column] ? 0 : 1)
        var best = min(changed, last[column + 1] + 1, next[column] + 1)
        if row > 0, column > 0, one[row] == other[column - 1], one[row - 1] == other[column] {
          best = min(best, before[column - 1] + 1)
        }
        next.append(best)
      }
      (before, last) = (last, next)
    }
    return last[other.count]
  }
}
