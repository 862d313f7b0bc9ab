public import DormouseKernels
public import DormouseSupport
public import DormouseWeights

/// down(silu(gate x) * up x): a dense layer's network, an expert, or the shared experts in one.
public struct GatedWeights: Sendable {
  /// [width, inputs].
  public let gate: Linear
  public let up: Linear
  /// [outputs, width].
  public let down: Linear

  public var width: Int { gate.weight.rows }

  public init(gate: Linear, up: Linear, down: Linear) {
    self.gate = gate
    self.up = up
    self.down = down
  }

  public init(_ expert: ExpertWeights) {
    gate = Linear(weight: expert.gate, bias: nil)
    up = Linear(weight: expert.up, bias: nil)
    down = Linear(weight: expert.down, bias: nil)
  }
}

/// Where gated networks of one width keep what is between their products.
public struct GatedLayout: Sendable {
  fileprivate let width: Int
  /// [rows, width] each.
  fileprivate let gate, up: Int
  /// [rows, quantizedRowByteCount]; nil where `down` is not packed.
  fileprivate let quantizedGate: Int?
  fileprivate let quantizedRowByteCount: Int

  /// - Parameters:
  ///   - rows: of all networks that run at once.
  ///   - isPacked: whether the networks' matrices are packed.
  public init(rows: Int, width: Int, isPacked: Bool, in layout: inout ScratchLayout) throws(Failure) {
    self.width = width
    gate = try layout.words(rows, width)
    up = try layout.words(rows, width)
    quantizedRowByteCount = try QuantizedRows.byteCount(columns: width, capacity: 1)
    quantizedGate = if isPacked { try layout.words(rows, quantizedRowByteCount / 4) } else { nil }
  }
}

/// The memory of a `GatedLayout`.
public struct GatedScratch {
  fileprivate let gate: UnsafeMutablePointer<Float>
  fileprivate let up: UnsafeMutablePointer<Float>
  private let quantizedGate: UnsafeMutableRawPointer?
  private let layout: GatedLayout

  public init(_ base: UnsafeMutablePointer<Float>, _ layout: GatedLayout) {
    gate = base + layout.gate
    up = base + layout.up
    quantizedGate = layout.quantizedGate.map { UnsafeMutableRawPointer(base + $0) }
    self.layout = layout
  }

  private init(_ scratch: GatedScratch, from row: Int) {
    layout = scratch.layout
    gate = scratch.gate + row * layout.width
    up = scratch.up + row * layout.width
    let quantizedByteCount = row * scratch.layout.quantizedRowByteCount
    quantizedGate = scratch.quantizedGate.map { $0 + quantizedByteCount }
  }

  /// The rows from `row` on, for another network than those before.
  func dropFirst(_ row: Int) -> GatedScratch { GatedScratch(self, from: row) }

  /// Where `count` rows of `gate` are rounded.
  fileprivate func rounded(_ count: Int) -> QuantizedRows? {
    quantizedGate.map { QuantizedRows(memory: $0, columns: layout.width, capacity: count) }
  }
}

/// Gated networks that run side by side: gate and up of all of them as one batch, and all down projections as another.
/// In the steady state nothing is allocated.
public final class GatedNetworks {
  /// One network over `count` rows.
  private struct Job {
    let weights: GatedWeights
    /// [count, inputs].
    let x: Activations
    let count: Int
    let scratch: GatedScratch
    /// For packed matrices, `gate` rounded.
    let quantizedGate: QuantizedRows?
    /// [count, outputs].
    let y: UnsafeMutablePointer<Float>
  }

  let queue: ProductQueue
  private var jobs: ContiguousArray<Job> = []
  /// Of gate and up together.
  private var rows: SharedRows

  /// - Parameter capacity: networks that run at once, at most.
  public init(queue: ProductQueue, capacity: Int) {
    self.queue = queue
    jobs.reserveCapacity(capacity)
    rows = SharedRows(capacity: capacity)
  }

  /// Adds a network to the next run.
  /// - Parameters:
  ///   - x: [count, inputs], from the queue's `prepare`.
  ///   - scratch: of `count` rows, this network's own until the run.
  ///   - y: [count, outputs]; may be `x`'s floats.
  public func add(
    _ weights: GatedWeights, x: Activations, count: Int, in scratch: GatedScratch, y: UnsafeMutablePointer<Float>
  ) {
    rows.add(rows: weights.width, rowCost: 2 * weights.gate.weight.columns * count)
    let quantized = weights.down.weight.isPacked ? scratch.rounded(count) : nil
    jobs.append(Job(weights: weights, x: x, count: count, scratch: scratch, quantizedGate: quantized, y: y))
  }

  /// Computes what was added since the last run.
  public func run() {
    rows.run(on: queue.pool) { index, rows in gateAndUp(jobs[index], rows) }
    for job in jobs {
      let x = Activations(floats: job.scratch.gate, stride: job.weights.width, quantized: job.quantizedGate)
      queue.add(job.weights.down, x: x, count: job.count, y: job.y)
    }
    queue.run()
    jobs.removeAll(keepingCapacity: true)
    rows.removeAll()
  }

  /// gate = silu(gate x) * up x for a range of the network's rows.
  private func gateAndUp(_ job: Job, _ rows: Range<Int>) {
    let kernels = queue.kernels
    let width = job.weights.width
    let gate = job.scratch.gate + rows.lowerBound
    let up = job.scratch.up + rows.lowerBound
    kernels.multiply(job.weights.gate, rows: rows, x: job.x, count: job.count, into: gate, yStride: width)
    kernels.multiply(job.weights.up, rows: rows, x: job.x, count: job.count, into: up, yStride: width)
    for row in 0..<job.count {
      kernels.siluMultiply(gate: gate + row * width, up: up + row * width, count: rows.count)
    }
    // Ranges begin at whole groups, so that each task can round its own.
    guard let quantized = job.quantizedGate else { return }
    kernels.quantize(
      gate, xStride: width, count: job.count, columns: rows.count, into: quantized, first: rows.lowerBound)
  }
}
