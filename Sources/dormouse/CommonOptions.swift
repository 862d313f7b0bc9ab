import ArgumentParser
import CDormouse

/// The model and how it is held in memory: common to all commands that open one.
struct ModelOptions: ParsableArguments {
  @Argument(help: "A model folder, or a file in one.", completion: .file())
  var model: String

  @OptionGroup var machine: MachineOptions

  @Option(help: "Tokens a session can hold; by default the model's maximum, but at most 4096.")
  var context: UInt32?

  @Option(help: "How weights are held.")
  var weights: WeightsChoice?

  @Option(help: "How the latent cache is held.")
  var cache: CacheChoice?

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
  var residency: ResidencyChoice?

  func validate() throws {
    if let threads, threads == 0 || threads > 1024 { throw ValidationError("--threads must be 1 to 1024.") }
  }

  /// The library's options.
  var settings: dormouse_engine_options {
    var settings = dormouse_engine_options()
    dormouse_engine_options_init(&settings)
    settings.thread_count = threads ?? 0
    settings.pin_threads = pin ? 1 : 0
    settings.residency = residency?.code ?? 0
    settings.memory_limit = memory?.bytes ?? 0
    return settings
  }
}

struct OutputOptions: ParsableArguments {
  @Flag(help: "Write JSON Lines to stdout.")
  var json = false
}

enum WeightsChoice: String, ExpressibleByArgument, CaseIterable {
  case native, int8, int4

  var code: Int32 {
    switch self {
    case .native: Int32(DORMOUSE_WEIGHTS_NATIVE)
    case .int8: Int32(DORMOUSE_WEIGHTS_INT8)
    case .int4: Int32(DORMOUSE_WEIGHTS_INT4)
    }
  }
}

enum CacheChoice: String, ExpressibleByArgument, CaseIterable {
  case f32, bf16, int8

  var code: Int32 {
    switch self {
    case .f32: Int32(DORMOUSE_CACHE_F32)
    case .bf16: Int32(DORMOUSE_CACHE_BF16)
    case .int8: Int32(DORMOUSE_CACHE_INT8)
    }
  }
}

enum ResidencyChoice: String, ExpressibleByArgument, CaseIterable {
  case memory, mapped

  var code: Int32 {
    switch self {
    case .memory: Int32(DORMOUSE_RESIDENCY_MEMORY)
    case .mapped: Int32(DORMOUSE_RESIDENCY_MAPPED)
    }
  }
}

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
