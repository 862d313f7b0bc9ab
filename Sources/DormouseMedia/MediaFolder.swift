public import DormouseKernels
import DormouseLayers
public import DormouseSupport
public import DormouseWeights

/// The towers of a model's folder, configuration and headers read and checked; no weights loaded.
public struct MediaFolder: Sendable {
  private let towers: [any AnyTowerFolder]
  public let modalities: [Modality]
  /// Bytes of the towers' weights in the files' types, and of the float32 copies that loading will make.
  public let weightByteCount: Int
  public let floatByteCount: Int
  /// The tensors of all towers, as the checkpoint calls them.
  public var tensorNames: [String] { towers.flatMap(\.tensorNames) }
  /// For each tower what it answers for, and its parameters, with those of its projector.
  public var parameterCounts: [(modalities: [Modality], count: Int)] {
    towers.map { ($0.modalities, $0.parameterCount) }
  }

  /// - Parameter checkpoint: the folder's files.
  /// - Returns: nil for a model of text alone.
  /// - Throws: `Failure` naming the field or tensor, what it is and what was expected.
  public init?(_ path: String, checkpoint: Checkpoint) throws(Failure) {
    let file = "\(path)/config.json"
    var towers: [any AnyTowerFolder] = []
    for kind in try MediaFamilies.towers(JSONFields(File.readJSON(file), file: file)) {
      towers.append(try kind.open(path, checkpoint))
    }
    self.towers = towers
    guard !towers.isEmpty else { return nil }
    modalities = towers.flatMap(\.modalities)
    var (weights, floats) = (0, 0)
    for tower in towers {
      weights = try CheckedSize.sum(weights, tower.weightByteCount, of: "\(path): the towers' size")
      floats = try CheckedSize.sum(floats, tower.floatByteCount, of: "\(path): the towers' size")
    }
    weightByteCount = weights
    floatByteCount = floats
  }

  /// Bytes of both.
  /// - Throws: `Failure(.malformed)` when they are beyond 64 bits.
  public func byteCount() throws(Failure) -> Int {
    try CheckedSize.sum(weightByteCount, floatByteCount, of: "the towers' size")
  }

  /// Loads the weights of all towers.
  /// - Parameter progress: bytes of weights loaded, of all towers'; `false` cancels.
  public func load(
    residency: Checkpoint.Residency, pool: ThreadPool, kernels: Kernels, progress: Progress? = nil
  ) throws(Failure) -> any MediaEncoder {
    var parts = ProgressParts(progress, total: UInt64(clamping: weightByteCount))
    var loaded: [(modalities: [Modality], encoder: any MediaEncoder)] = []
    for tower in towers {
      let own = parts.next(UInt64(clamping: tower.weightByteCount))
      let encoder = try tower.load(residency: residency, pool: pool, kernels: kernels, progress: own)
      loaded.append((tower.modalities, encoder))
    }
    guard loaded.count == 1, let only = loaded.first else { return CompositeEncoder(loaded) }
    return only.encoder
  }
}

/// How a tower is made, as its model's `config.json` says it.
protocol TowerConfiguration: Sendable {
  /// What the files of the tower's processors say.
  associatedtype Processor: Sendable
  associatedtype Weights: Sendable

  /// What sentences call the tower.
  static var towerName: String { get }

  /// - Parameter fields: `config.json`.
  /// - Throws: `Failure` naming file, field and value; `.unsupported` for a model without a tower of this kind.
  init(_ fields: JSONFields) throws(Failure)

  /// What the tower answers for; no two towers of a model have one in common.
  var modalities: [Modality] { get }

  /// Reads the files of the tower's processors, which have to fit it.
  func processor(folder: String, _ fields: JSONFields) throws(Failure) -> Processor

  /// The tower's tensors, under the names that the checkpoint has.
  func tensors(in checkpoint: Checkpoint) -> TensorGroup<Weights>

  /// Loads the tower of a folder.
  static func load(
    _ folder: TowerFolder<Self>, residency: Checkpoint.Residency, pool: ThreadPool, kernels: Kernels,
    progress: Progress?
  ) throws(Failure) -> any MediaEncoder
}

/// A tower in its model's folder, configuration and headers read and checked against each other; no weights loaded.
struct TowerFolder<Configuration: TowerConfiguration>: Sendable {
  let configuration: Configuration
  let processor: Configuration.Processor
  /// Those of the tower alone.
  let tensors: CheckedTensors<Configuration.Weights>

  /// - Parameter checkpoint: the folder's files where they are open already.
  /// - Throws: `Failure` naming the field or tensor, what it is and what was expected.
  init(_ path: String, checkpoint: Checkpoint? = nil) throws(Failure) {
    let file = "\(path)/config.json"
    let fields = try JSONFields(File.readJSON(file), file: file)
    configuration = try Configuration(fields)
    processor = try configuration.processor(folder: path, fields)
    let checkpoint = if let checkpoint { checkpoint } else { try Checkpoint(folder: path) }
    tensors = try CheckedTensors(
      configuration.tensors(in: checkpoint), in: checkpoint, of: "the \(Configuration.towerName)")
  }
}

/// The folder of a tower of any kind.
protocol AnyTowerFolder: Sendable {
  var modalities: [Modality] { get }
  var weightByteCount: Int { get }
  var floatByteCount: Int { get }
  var tensorNames: [String] { get }
  var parameterCount: Int { get }

  /// Loads the weights.
  /// - Parameter progress: bytes of this tower's weights loaded; `false` cancels.
  func load(
    residency: Checkpoint.Residency, pool: ThreadPool, kernels: Kernels, progress: Progress?
  ) throws(Failure) -> any MediaEncoder
}

extension TowerFolder: AnyTowerFolder {
  var modalities: [Modality] { configuration.modalities }
  var weightByteCount: Int { tensors.weightByteCount }
  var floatByteCount: Int { tensors.floatByteCount }
  var tensorNames: [String] { tensors.names }
  var parameterCount: Int { tensors.parameterCount }

  func load(
    residency: Checkpoint.Residency, pool: ThreadPool, kernels: Kernels, progress: Progress?
  ) throws(Failure) -> any MediaEncoder {
    try Configuration.load(self, residency: residency, pool: pool, kernels: kernels, progress: progress)
  }
}

extension TowerConfiguration {
  static func open(_ path: String, _ checkpoint: Checkpoint) throws(Failure) -> any AnyTowerFolder {
    try TowerFolder<Self>(path, checkpoint: checkpoint)
  }
}

/// The towers of a model that has several, each of which answers for its modalities.
private struct CompositeEncoder: MediaEncoder {
  private let encoders: [Modality: any MediaEncoder]

  /// - Parameter towers: each with the modalities that it answers for.
  init(_ towers: [(modalities: [Modality], encoder: any MediaEncoder)]) {
    encoders = towers.reduce(into: [:]) { encoders, tower in
      for modality in tower.modalities { encoders[modality] = tower.encoder }
    }
  }

  func placeholder(of modality: Modality) -> String? { encoders[modality]?.placeholder(of: modality) }

  func paddingTokens(of modality: Modality) -> [String] { encoders[modality]?.paddingTokens(of: modality) ?? [] }

  func prepare(_ item: MediaItem, _ terms: MediaTerms) throws(Failure) -> any PreparedMedia {
    try encoder(item.modality).prepare(item, terms)
  }

  func begin(
    _ prepared: any PreparedMedia, into rows: UnsafeMutableBufferPointer<Float>, _ interruption: Interruption
  ) throws(Failure) -> any EncodingRun {
    try encoder(prepared.modality).begin(prepared, into: rows, interruption)
  }

  private func encoder(_ modality: Modality) throws(Failure) -> any MediaEncoder {
    guard let encoder = encoders[modality] else {
      throw Failure(.unsupported, "this model takes no parts of type \(modality.rawValue)")
    }
    return encoder
  }
}
