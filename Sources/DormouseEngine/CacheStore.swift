import DormouseCache
import DormouseKernels
import DormouseModel
import DormouseSupport

/// The pages of an engine's sessions for one type of rows, and the prefixes that they share.
final class CacheStore: Sendable {
  let pool: PagePool
  /// Nil when the engine shares no prefixes.
  let prefixes: PrefixTree?

  init(layout: PageLayout, kernels: Kernels, budget: MemoryBudget, prefixByteLimit: UInt64) {
    pool = PagePool(layout: layout, kernels: kernels, budget: budget)
    prefixes =
      prefixByteLimit == 0 ? nil : PrefixTree(layout: layout, byteLimit: prefixByteLimit, budget: budget)
  }
}

/// The stores of an engine, made when the first session asks for its type of rows.
final class CacheStores: Sendable {
  private let configuration: ModelConfiguration
  private let kernels: Kernels
  private let budget: MemoryBudget
  private let options: EngineOptions
  private let stores = Locked<[CacheRowType: CacheStore]>([:])

  init(_ configuration: ModelConfiguration, kernels: Kernels, budget: MemoryBudget, options: EngineOptions) {
    self.configuration = configuration
    self.kernels = kernels
    self.options = options
    self.budget = MemoryBudget(limit: options.cacheLimit, name: "cache_limit", parent: budget)
  }

  /// The pages of a type of rows; those of a store that there is are known.
  func layout(_ type: CacheRowType) throws(Failure) -> PageLayout {
    if let store = stores.withLock({ $0[type] }) { return store.pool.layout }
    return try configuration.pageLayout(type)
  }

  func store(_ type: CacheRowType) throws(Failure) -> CacheStore {
    let layout = try layout(type)
    return stores.withLock { stores in
      if let store = stores[type] { return store }
      let store = CacheStore(
        layout: layout, kernels: kernels, budget: budget, prefixByteLimit: options.prefixByteLimit(layout))
      stores[type] = store
      return store
    }
  }

  /// Those that there are, by their types.
  var all: [(type: CacheRowType, store: CacheStore)] {
    stores.withLock { stores in
      CacheRowType.allCases.compactMap { type in stores[type].map { (type, $0) } }
    }
  }
}

extension EngineOptions {
  /// Bytes of pages that stay for later sessions with the same prefix.
  func prefixByteLimit(_ layout: PageLayout) -> UInt64 {
    guard sharesPrefixes else { return 0 }
    let standard = try? layout.byteCount(tokens: SessionOptions.defaultContextLength)
    return prefixCacheLimit ?? UInt64(clamping: standard ?? .max)
  }
}
