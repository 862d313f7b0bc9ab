/// What the command line asks for.
struct Options {
  static let mostThreads = 64

  /// Instruction sets to measure; empty: every usable one.
  var sets: [String] = []
  /// A case is measured when its name holds, for each of these, one of the alternatives.
  var only: [[String]] = []
  var threads: [Int] = [1, 2]
  /// Bytes of weights walked over; well over the last cache.
  var setBytes = 256 << 20
  /// Seconds each figure is measured for, at the least.
  var seconds = 0.3
  var json = false
  var list = false

  static let help = """
    Usage: dormouse-kernels-bench [--only TEXT[,TEXT]]... [--set NAME[,NAME]] [--threads N[,N]] [--bytes MIB]
                                  [--seconds S] [--json] [--list]

    Measures single kernels, and a whole vision tower, beside what the machine can do at best: GB/s of weights read
    beside the read bandwidth, GFLOP/s beside the peak of fused multiplications and additions. Weights are walked over
    matrix by matrix and are larger than the caches, as in decoding; activations are rounded beforehand where a type
    wants it. Each figure is the median of all passes in --seconds (0.3), three at the least: those of towers last
    seconds each. The limit of reading is measured before and after each figure, with the same threads.

      --only TEXT[,TEXT]   cases whose name holds one of the texts; repeated, all of the options must agree
      --set NAME[,NAME]    instruction sets (baseline, avx2, avx512, neon); default: all usable
      --threads N[,N]      1 to 64; default: 1,2
      --bytes MIB          weights walked over, in MiB; default: 256
      --seconds S          for each figure; default: 0.3
      --json               JSON Lines: an object for each figure
      --list               names of the cases, and nothing measured
    """

  enum Outcome {
    case options(Options)
    case help
    case wrong(String)
  }

  /// - Parameter arguments: without the program's name.
  static func parse(_ arguments: [String]) -> Outcome {
    var options = Options()
    var rest = arguments[...]
    while let name = rest.popFirst() {
      switch name {
      case "--help", "-h": return .help
      case "--json": options.json = true
      case "--list": options.list = true
      case "--only", "--set", "--threads", "--bytes", "--seconds":
        guard let value = rest.popFirst() else { return .wrong("\(name) needs a value") }
        if !options.take(name, value) { return .wrong("\(name) \(value): not a value that it takes") }
      default: return .wrong("unknown argument \(name)")
      }
    }
    return .options(options)
  }

  private mutating func take(_ name: String, _ value: String) -> Bool {
    let parts = value.split(separator: ",").map(String.init)
    guard !parts.isEmpty else { return false }
    switch name {
    case "--only": only.append(parts)
    case "--set": sets = parts
    case "--threads":
      threads = parts.compactMap { Int($0) }.filter { (1...Options.mostThreads).contains($0) }
      return threads.count == parts.count
    case "--bytes":
      guard let mebibytes = Int(value), (1...65536).contains(mebibytes) else { return false }
      setBytes = mebibytes << 20
    default:
      guard let number = Double(value), number > 0, number <= 60 else { return false }
      seconds = number
    }
    return true
  }

  /// Whether `name` is asked for.
  func includes(_ name: String) -> Bool {
    only.allSatisfy { alternatives in alternatives.contains { name.contains($0) } }
  }
}
