public import DormouseSupport

/// Where a mixture of experts keeps its intermediate results, in 4-byte words. A "slot" is one token's place at one
/// expert.
public struct ExpertsLayout: Sendable {
  /// [tokens, experts].
  fileprivate let routerLogits: Int
  /// [threads, routerStride]: what choosing works in.
  fileprivate let router, routerStride: Int
  /// [tokens, expertsPerToken] each: a token's experts, their weights, and its slots.
  fileprivate let ids, weights, slots: Int
  /// [slots]: the token of each.
  fileprivate let tokens: Int
  /// [experts + 1]: the first slot of each expert.
  fileprivate let firstSlots: Int
  /// [experts]: those that have slots.
  fileprivate let needed: Int
  /// [slots, hidden]: the experts' inputs, then their outputs.
  fileprivate let rows: Int
  /// Of all slots.
  fileprivate let routed: GatedLayout
  fileprivate let shared: GatedLayout
  /// [tokens, hidden]: the shared experts' outputs.
  fileprivate let sharedRows: Int
  /// Whether the experts' matrices are packed.
  fileprivate let isPacked: Bool

  /// - Parameters:
  ///   - tokens: tokens at a time, at most.
  ///   - width: of one expert.
  ///   - sharedWidth: of the shared experts together; 0 without.
  ///   - isPacked: whether the experts' matrices are packed.
  public init(
    _ configuration: RouterConfiguration, tokens count: Int, hidden: Int, width: Int, sharedWidth: Int = 0,
    isPacked: Bool = false, threads: Int, in layout: inout ScratchLayout
  ) throws(Failure) {
    let (experts, perToken) = (configuration.expertCount, configuration.expertsPerToken)
    self.isPacked = isPacked
    routerLogits = try layout.words(count, experts)
    routerStride = ScratchLayout.wholeLines(Router(configuration).scratchCount)
    router = try layout.words(threads, routerStride)
    ids = try layout.words(count, perToken)
    weights = try layout.words(count, perToken)
    slots = try layout.words(count, perToken)
    tokens = try layout.words(count, perToken)
    firstSlots = try layout.words(experts + 1)
    needed = try layout.words(experts)
    rows = try layout.words(count, perToken, hidden)
    let slotCount = try CheckedSize.product(count, perToken, of: "a model's scratch memory")
    routed = try GatedLayout(rows: slotCount, width: width, isPacked: isPacked, in: &layout)
    shared = try GatedLayout(rows: count, width: sharedWidth, isPacked: isPacked, in: &layout)
    sharedRows = try layout.words(sharedWidth > 0 ? count : 0, hidden)
  }
}

/// The memory of an `ExpertsLayout`.
struct ExpertsScratch {
  private let base: UnsafeMutablePointer<Float>
  private let layout: ExpertsLayout
  let routed: GatedScratch
  let shared: GatedScratch

  init(_ base: UnsafeMutablePointer<Float>, _ layout: ExpertsLayout) {
    self.base = base
    self.layout = layout
    routed = GatedScratch(base, layout.routed)
    shared = GatedScratch(base, layout.shared)
  }

  /// Whether the experts' matrices are packed.
  var isPacked: Bool { layout.isPacked }
  var routerLogits: UnsafeMutablePointer<Float> { base + layout.routerLogits }
  var ids: UnsafeMutablePointer<Int32> { integers(layout.ids) }
  var weights: UnsafeMutablePointer<Float> { base + layout.weights }
  var slots: UnsafeMutablePointer<Int32> { integers(layout.slots) }
  var tokens: UnsafeMutablePointer<Int32> { integers(layout.tokens) }
  var firstSlots: UnsafeMutablePointer<Int32> { integers(layout.firstSlots) }
  var needed: UnsafeMutablePointer<Int32> { integers(layout.needed) }
  var rows: UnsafeMutablePointer<Float> { base + layout.rows }
  var sharedRows: UnsafeMutablePointer<Float> { base + layout.sharedRows }

  /// What choosing works in on `worker`.
  func router(of worker: Int) -> UnsafeMutablePointer<Float> {
    base + layout.router + worker * layout.routerStride
  }

  private func integers(_ offset: Int) -> UnsafeMutablePointer<Int32> {
    UnsafeMutableRawPointer(base + offset).assumingMemoryBound(to: Int32.self)
  }
}
