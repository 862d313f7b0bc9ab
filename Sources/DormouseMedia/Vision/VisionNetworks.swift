import DormouseKernels
import DormouseLayers
import DormouseSupport

/// The networks of a tower's layers, for a block of at most `wideRows` patches.
struct VisionNetworks {
  let scratch: VisionScratch
  let hidden: Int
  let queue: ProductQueue

  /// From x [count, hidden] to y [count, hidden].
  func run(
    _ network: VisionNetworkWeights, _ x: UnsafePointer<Float>, count: Int, into y: UnsafeMutablePointer<Float>
  ) {
    switch network {
    case .plain(let up, let down):
      let width = up.weight.rows
      queue.run(up, x: Activations(floats: x, stride: hidden), count: count, y: scratch.wide)
      queue.pool.forEachToken(count) { queue.kernels.geluTanh(scratch.wide + $0 * width, count: width) }
      queue.run(down, x: Activations(floats: scratch.wide, stride: width), count: count, y: y)
    case .gated(let weights):
      run([Job(weights: weights, x: x, y: y, count: count, first: 0)], rows: count)
    case .experts(let weights):
      route(weights, x, count: count)
      runExperts(weights, x, count: count, into: y)
    }
  }

  /// A gated network over some rows.
  private struct Job {
    let weights: VisionGatedWeights
    /// [count, hidden] each.
    let x: UnsafePointer<Float>
    let y: UnsafeMutablePointer<Float>
    let count: Int
    /// Rows of the jobs before it.
    let first: Int
  }

  /// Networks of one width side by side, over `rows` rows together.
  private func run(_ jobs: [Job], rows: Int) {
    guard let width = jobs.first?.weights.gate.weight.rows else { return }
    let (gate, up) = (scratch.wide, scratch.wideUp)
    for job in jobs {
      let x = Activations(floats: job.x, stride: hidden)
      queue.add(job.weights.gate, x: x, count: job.count, y: gate + job.first * width)
      queue.add(job.weights.up, x: x, count: job.count, y: up + job.first * width)
    }
    queue.run()
    queue.pool.forEachToken(rows) { row in
      queue.kernels.siluMultiply(gate: gate + row * width, up: up + row * width, count: width)
    }
    for job in jobs {
      queue.add(
        job.weights.down, x: Activations(floats: gate + job.first * width, stride: width), count: job.count, y: job.y)
    }
    queue.run()
  }

  // MARK: - Experts

  private func route(_ weights: VisionExpertsWeights, _ x: UnsafePointer<Float>, count: Int) {
    weights.routing.multiply(weights.router, x, count: count, into: scratch.routerLogits, queue)
    weights.routing.select(
      scratch.routerLogits, bias: weights.bias.pointer, count: count, ids: scratch.expertIds,
      weights: scratch.expertWeights, scratch: scratch.router, scratchStride: scratch.layout.routerStride,
      pool: queue.pool)
    weights.routing.group(
      scratch.expertIds, count: count, firstSlots: scratch.firstSlots, slots: scratch.slots,
      tokens: scratch.slotTokens)
  }

  private func runExperts(
    _ weights: VisionExpertsWeights, _ x: UnsafePointer<Float>, count: Int, into y: UnsafeMutablePointer<Float>
  ) {
    let rows = scratch.expertRows
    weights.routing.gather(x, width: hidden, count: count, slots: scratch.slots, into: rows, pool: queue.pool)
    var jobs: [Job] = []
    for (index, expert) in weights.experts.enumerated() {
      let first = Int(scratch.firstSlots[index])
      let own = Int(scratch.firstSlots[index + 1]) - first
      guard own > 0 else { continue }
      let place = rows + first * hidden
      // The networks' results take their inputs' places, once these are read.
      jobs.append(Job(weights: expert, x: place, y: place, count: own, first: first))
    }
    run(jobs, rows: count * weights.routing.router.configuration.expertsPerToken)
    queue.pool.forEachToken(count) { patch in
      weights.routing.combine(
        patch, weights: scratch.expertWeights, rows: rows, slots: scratch.slots, width: hidden,
        into: y + patch * hidden, queue.kernels)
    }
  }
}

extension VisionWeights {
  /// Products that run side by side, at most.
  var widestBatch: Int {
    layers.reduce(3) { widest, layer in
      guard case .experts(let weights) = layer.network else { return widest }
      return max(widest, 2 * weights.experts.count)
    }
  }
}
