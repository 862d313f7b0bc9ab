import DormouseKernels
import DormouseLayers
import DormouseSupport

/// The networks of a tower's layers, for a block of at most `wideRows` patches.
struct VisionNetworks {
  let scratch: VisionScratch
  let hidden: Int
  let queue: ProductQueue
  let gated: GatedNetworks

  /// From x [count, hidden] to y [count, hidden].
  /// - Throws: what an `ExpertSource` throws.
  func run(
    _ network: VisionNetworkWeights, _ x: UnsafePointer<Float>, count: Int, into y: UnsafeMutablePointer<Float>
  ) throws(Failure) {
    var words = ScratchLayout()
    let rows = scratch.layout.wideRows
    switch network {
    case .plain(let up, let down):
      let width = up.weight.rows
      queue.run(up, x: Activations(floats: x, stride: hidden), count: count, y: scratch.wide)
      queue.pool.forEachToken(count) { queue.kernels.geluTanh(scratch.wide + $0 * width, count: width) }
      queue.run(down, x: Activations(floats: scratch.wide, stride: width), count: count, y: y)
    case .gated(let weights):
      let layout = try GatedLayout(rows: rows, width: weights.width, isPacked: false, in: &words)
      let x = Activations(floats: x, stride: hidden)
      gated.add(weights, x: x, count: count, in: GatedScratch(scratch.wide, layout), y: y)
      gated.run()
    case .experts(let own):
      let layout = try own.sizes.layout(rows: rows, hidden: hidden, threads: queue.pool.threadCount, in: &words)
      let mixture = MixtureOfExperts(
        own.weights, own.sizes.router, source: own.experts, layer: 0, networks: gated, memory: scratch.wide,
        layout: layout)
      try mixture.run(x, count: count, quantized: nil, into: y)
    }
  }
}

extension VisionConfiguration.Experts {
  /// What a layer of such experts works in.
  func layout(
    rows: Int, hidden: Int, threads: Int, in words: inout ScratchLayout
  ) throws(Failure) -> ExpertsLayout {
    try ExpertsLayout(
      router, tokens: rows, hidden: hidden, width: intermediateSize, threads: threads, in: &words)
  }
}

extension VisionConfiguration {
  /// Experts of a layer, at most.
  var mostExperts: Int {
    networks.reduce(0) { most, network in
      guard case .experts(let own) = network else { return most }
      return max(most, own.count)
    }
  }
}
