import DormouseKernels
import DormouseLayers
import DormouseSupport

/// Gated networks that run side by side, for all layers of a decoder: gate and up of all of them as one batch, and all
/// down projections as another.
final class GatedNetworks {
  /// One gated network over `count` rows.
  private struct Job {
    let weights: GatedWeights
    /// [count, hidden].
    let x: Activations
    /// [count, width]; `gate` rounded, too, for packed matrices.
    let gate: UnsafeMutablePointer<Float>
    let up: UnsafeMutablePointer<Float>
    let quantizedGate: QuantizedRows?
    /// [count, hidden].
    let y: UnsafeMutablePointer<Float>
    let count: Int
  }

  let hidden: Int
  let queue: ProductQueue
  let scratch: Scratch
  private var jobs: ContiguousArray<Job> = []
  /// Of gate and up together.
  private var rows: SharedRows

  /// - Parameter capacity: networks that run at once, at most.
  init(hidden: Int, capacity: Int, queue: ProductQueue, scratch: Scratch) {
    self.hidden = hidden
    self.queue = queue
    self.scratch = scratch
    jobs.reserveCapacity(capacity)
    rows = SharedRows(capacity: capacity)
  }

  /// The input of all networks: `scratch.normed` [count, hidden].
  func prepareInput(_ count: Int) -> Activations {
    queue.prepare(scratch.normed, columns: hidden, count: count, in: scratch.quantizedInput)
  }

  /// A dense network or the shared experts, whose results go through the wide buffers.
  func addWide(
    _ weights: GatedWeights, x: Activations, y: UnsafeMutablePointer<Float>, count: Int
  ) {
    add(
      weights, x: x, gate: scratch.wideGate, up: scratch.wideUp, quantizedGate: scratch.quantizedWide, y: y,
      count: count)
  }

  func add(
    _ weights: GatedWeights, x: Activations, gate: UnsafeMutablePointer<Float>, up: UnsafeMutablePointer<Float>,
    quantizedGate: UnsafeMutableRawPointer?, y: UnsafeMutablePointer<Float>, count: Int
  ) {
    rows.add(rows: weights.width, rowCost: 2 * hidden * count)
    let quantized = quantizedGate.map { QuantizedRows(memory: $0, columns: weights.width, capacity: count) }
    jobs.append(
      Job(
        weights: weights, x: x, gate: gate, up: up, quantizedGate: weights.down.isPacked ? quantized : nil, y: y,
        count: count))
  }

  func run() {
    rows.run(on: queue.pool) { index, rows in gateAndUp(jobs[index], rows) }
    for job in jobs {
      let x = Activations(floats: job.gate, stride: job.weights.width, quantized: job.quantizedGate)
      queue.add(Linear(weight: job.weights.down, bias: nil), x: x, count: job.count, y: job.y)
    }
    queue.run()
    jobs.removeAll(keepingCapacity: true)
    rows.removeAll()
  }

  /// gate = silu(gate x) * up x for a range of the network's rows.
  private func gateAndUp(_ job: Job, _ rows: Range<Int>) {
    let kernels = queue.kernels
    let width = job.weights.width
    let gate = job.gate + rows.lowerBound
    let up = job.up + rows.lowerBound
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

/// A dense gated network.
struct DenseLayer: FeedForwardLayer {
  let weights: GatedWeights
  let networks: GatedNetworks

  func run(_ batch: Batch) {
    let (count, scratch) = (batch.count, networks.scratch)
    networks.addWide(weights, x: networks.prepareInput(count), y: scratch.update, count: count)
    networks.run()
  }
}

/// Routed and shared experts. Tokens are grouped by expert, so that each expert's weights are read once a chunk.
struct ExpertsLayer: FeedForwardLayer {
  let weights: ExpertsWeights
  let routing: ExpertRouting
  /// Of one expert.
  let width: Int
  let networks: GatedNetworks

  private var scratch: Scratch { networks.scratch }
  private var queue: ProductQueue { networks.queue }

  func run(_ batch: Batch) {
    let (count, hidden) = (batch.count, networks.hidden)
    route(count)
    let e = scratch.experts
    let input = networks.prepareInput(count)
    let isPacked = weights.experts.first?.gate.isPacked ?? false
    // Packed experts find their tokens' rounded rows by number, and one token's row is every expert's input; else rows
    // are gathered behind each other.
    let isGathered = count > 1 && !isPacked
    if isGathered {
      routing.gather(scratch.normed, width: hidden, count: count, slots: e.slots, into: e.rows, pool: queue.pool)
    }
    if let shared = weights.shared { networks.addWide(shared, x: input, y: e.shared, count: count) }
    for expert in 0..<weights.experts.count {
      let first = Int(e.firstSlots[expert])
      let slots = Int(e.firstSlots[expert + 1]) - first
      guard slots > 0 else { continue }
      let rows = e.rows + first * hidden
      var x = isGathered ? Activations(floats: rows, stride: hidden) : input
      if isPacked { x.quantized?.indices = UnsafePointer(e.tokens + first) }
      networks.add(
        weights.experts[expert], x: x, gate: e.gate + first * width, up: e.up + first * width,
        quantizedGate: e.quantizedGate.map { $0 + first * e.quantizedRowByteCount }, y: rows, count: slots)
    }
    networks.run()
    combine(count)
  }

  private func route(_ count: Int) {
    let e = scratch.experts
    routing.multiply(weights.router, scratch.normed, count: count, into: e.routerLogits, queue)
    routing.select(
      e.routerLogits, bias: weights.correctionBias?.pointer, count: count, ids: e.ids, weights: e.weights,
      scratch: e.router, scratchStride: e.routerStride, pool: queue.pool)
    routing.group(e.ids, count: count, firstSlots: e.firstSlots, slots: e.slots, tokens: e.tokens)
  }

  /// update = sum of weight * expert output, plus the shared experts' output.
  private func combine(_ count: Int) {
    let (e, update, hidden) = (scratch.experts, scratch.update, networks.hidden)
    let kernels = queue.kernels
    let hasShared = weights.shared != nil
    queue.pool.forEachToken(count) { token in
      let sum = update + token * hidden
      routing.combine(token, weights: e.weights, rows: e.rows, slots: e.slots, width: hidden, into: sum, kernels)
      if hasShared { kernels.addScaled(sum, 1, e.shared + token * hidden, count: hidden) }
    }
  }
}
