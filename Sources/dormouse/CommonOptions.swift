import ArgumentParser
import DormouseClient

/// The model and how it is held in memory: common to all commands that open one.
struct ModelOptions: ParsableArguments {
  @Argument(help: "A model folder, or a file in one.", completion: .file())
  var model: String

  @OptionGroup var machine: MachineOptions

  @Option(help: "Tokens a session can hold; by default the model's maximum, but at most 4096.")
  var context: UInt32?

  @Option(help: "How weights are held.")
  var weights: OpenEngine.Weights?

  @Option(help: "How the latent cache is held.")
  var cache: OpenSession.Cache?

  @Option(
    help: ArgumentHelp("Most bytes for the cache alone, kept prefixes included.", valueName: "bytes"))
  var cacheMemory: ByteCount?

  @Flag(help: "Keep no beginnings of texts for later sessions.")
  var noPrefixCache = false

  @Option(
    help: ArgumentHelp(
      "Keep int8 and int4 weights for the next start: off, model (in the model's folder), user (in the user's cache"
        + " folder), or a folder.", valueName: "off|model|user|folder"))
  var packedCache: PackedCacheChoice?

  func validate() throws {
    if context == 0 { throw ValidationError("--context must be at least 1.") }
  }
}

/// What a model of any kind may take of the machine.
struct MachineOptions: ParsableArguments {
  @Option(help: "Threads; by default what affinity and the control group's quota allow.")
  var threads: UInt32?

  @Flag(help: "Bind each of these threads to one processor.")
  var pin = false

  @Option(
    help: ArgumentHelp("Most bytes for weights, working memory and cache; K, M and G may follow.", valueName: "bytes"))
  var memory: ByteCount?

  @Option(help: "Read weights into memory, or map the files.")
  var residency: OpenEngine.Residency?

  func validate() throws {
    if let threads, threads == 0 || threads > 1024 { throw ValidationError("--threads must be 1 to 1024.") }
  }
}

struct OutputOptions: ParsableArguments {
  @Flag(help: "Write JSON Lines to stdout.")
  var json = false
}

extension OpenEngine.Weights: ExpressibleByArgument {}
extension OpenEngine.Residency: ExpressibleByArgument {}
extension OpenSession.Cache: ExpressibleByArgument {}
extension OpenSession.Overflow: ExpressibleByArgument {}
extension OpenTranscriber.Task: ExpressibleByArgument {}

/// A number of bytes: digits, then perhaps K, M, G or T (1024 each), then perhaps B or iB.
struct ByteCount: ExpressibleByArgument {
  var bytes: UInt64

  init?(argument: String) {
    var digits = argument.uppercased()[...]
    for suffix in ["IB", "B"] where digits.hasSuffix(suffix) {
      digits.removeLast(suffix.count)
      break
    }
    var factor: UInt64 = 1
    if let unit = digits.last, let power = ["K", "M", "G", "T"].firstIndex(of: String(unit)) {
      factor = 1 << (10 * UInt64(power + 1))
      digits.removeLast()
    }
    guard !digits.isEmpty, digits.utf8.allSatisfy({ (48...57).contains($0) }), let count = UInt64(digits) else {
      return nil
    }
    let (product, overflow) = count.multipliedReportingOverflow(by: factor)
    guard !overflow else { return nil }
    bytes = product
  }

  static var defaultCompletionKind: CompletionKind { .list(["4G", "8G", "16G", "32G"]) }
}
