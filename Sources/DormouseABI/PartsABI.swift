import CDormouse
import DormouseBoundary
import DormouseCache
import DormouseKernels
import DormouseLayers
import DormouseSupport

// MARK: - Router

@_cdecl("dormouse_router_create") @implementation
public func dormouse_router_create(
  _ out: UnsafeMutablePointer<OpaquePointer?>!, _ config_json: UnsafePointer<CChar>!,
  _ error: UnsafeMutablePointer<dormouse_error>!
) -> dormouse_status {
  boundary(error) { () throws(Failure) in
    let out = try require(out, "out")
    out.pointee = nil
    let configuration = try RouterConfiguration(try readConfiguration(config_json))
    out.pointee = Handle.make(RouterPart(router: Router(configuration)))
  }
}

@_cdecl("dormouse_router_free") @implementation
public func dormouse_router_free(_ router: OpaquePointer!) {
  Handle.free(router)
}

@_cdecl("dormouse_router_route") @implementation
public func dormouse_router_route(
  _ ids: UnsafeMutablePointer<Int32>!, _ weights: UnsafeMutablePointer<Float>!, _ router: OpaquePointer!,
  _ logits: UnsafePointer<Float>!, _ correction_bias: UnsafePointer<Float>!, _ token_count: Int,
  _ error: UnsafeMutablePointer<dormouse_error>!
) -> dormouse_status {
  boundary(error) { () throws(Failure) in
    let part = try Handle.object(router, RouterPart.self, "router")
    guard token_count >= 0 else { throw Failure(.invalidArgument, "token_count is out of range") }
    guard token_count > 0 else { return }
    try part.route(
      logits: try require(logits, "logits"), correctionBias: correction_bias, tokenCount: token_count,
      ids: try require(ids, "ids"), weights: try require(weights, "weights"))
  }
}

/// The router behind a handle.
private final class RouterPart: Sendable {
  let router: Router

  init(router: Router) { self.router = router }

  /// logits [tokenCount, experts] -> ids and weights [tokenCount, expertsPerToken].
  func route(
    logits: UnsafePointer<Float>, correctionBias: UnsafePointer<Float>?, tokenCount: Int,
    ids: UnsafeMutablePointer<Int32>, weights: UnsafeMutablePointer<Float>
  ) throws(Failure) {
    let configuration = router.configuration
    let total = try CheckedSize.product(tokenCount, configuration.expertCount, of: "the number of logits")
    let chosen = try CheckedSize.product(tokenCount, configuration.expertsPerToken, of: "the number of ids")
    if let index = (0..<total).first(where: { !logits[$0].isFinite }) {
      throw Failure(
        .numerical,
        "logit \(index % configuration.expertCount) of token \(index / configuration.expertCount) is not finite")
    }
    try router.route(
      logits: UnsafeBufferPointer(start: logits, count: total),
      bias: correctionBias.map { UnsafeBufferPointer(start: $0, count: configuration.expertCount) },
      count: tokenCount, ids: UnsafeMutableBufferPointer(start: ids, count: chosen),
      weights: UnsafeMutableBufferPointer(start: weights, count: chosen))
  }
}

// MARK: - Latent cache

@_cdecl("dormouse_latent_cache_create") @implementation
public func dormouse_latent_cache_create(
  _ out: UnsafeMutablePointer<OpaquePointer?>!, _ config_json: UnsafePointer<CChar>!,
  _ error: UnsafeMutablePointer<dormouse_error>!
) -> dormouse_status {
  boundary(error) { () throws(Failure) in
    let out = try require(out, "out")
    out.pointee = nil
    out.pointee = Handle.make(try LatentCachePart(try readConfiguration(config_json)))
  }
}

@_cdecl("dormouse_latent_cache_free") @implementation
public func dormouse_latent_cache_free(_ cache: OpaquePointer!) {
  Handle.free(cache)
}

@_cdecl("dormouse_latent_cache_append") @implementation
public func dormouse_latent_cache_append(
  _ cache: OpaquePointer!, _ rows: UnsafePointer<Float>!, _ row_count: Int,
  _ error: UnsafeMutablePointer<dormouse_error>!
) -> dormouse_status {
  boundary(error) { () throws(Failure) in
    let cache = try Handle.object(cache, LatentCachePart.self, "cache").cache
    guard row_count >= 0 else { throw Failure(.invalidArgument, "row_count is out of range") }
    guard row_count > 0 else { return }
    try cache.append(try require(rows, "rows"), count: row_count)
  }
}

@_cdecl("dormouse_latent_cache_size") @implementation
public func dormouse_latent_cache_size(
  _ row_count: UnsafeMutablePointer<Int>!, _ byte_count: UnsafeMutablePointer<Int>!, _ cache: OpaquePointer!,
  _ error: UnsafeMutablePointer<dormouse_error>!
) -> dormouse_status {
  boundary(error) { () throws(Failure) in
    let cache = try Handle.object(cache, LatentCachePart.self, "cache").cache
    row_count?.pointee = cache.length
    byte_count?.pointee = cache.byteCount
  }
}

@_cdecl("dormouse_latent_cache_truncate") @implementation
public func dormouse_latent_cache_truncate(
  _ cache: OpaquePointer!, _ row_count: Int, _ error: UnsafeMutablePointer<dormouse_error>!
) -> dormouse_status {
  boundary(error) { () throws(Failure) in
    try Handle.object(cache, LatentCachePart.self, "cache").cache.rewind(to: row_count)
  }
}

@_cdecl("dormouse_latent_cache_attend") @implementation
public func dormouse_latent_cache_attend(
  _ out: UnsafeMutablePointer<Float>!, _ cache: OpaquePointer!, _ query: UnsafePointer<Float>!, _ head_count: Int,
  _ row_count: Int, _ scale: Float, _ error: UnsafeMutablePointer<dormouse_error>!
) -> dormouse_status {
  boundary(error) { () throws(Failure) in
    let part = try Handle.object(cache, LatentCachePart.self, "cache")
    try part.attend(
      query: try require(query, "query"), heads: head_count, rowCount: row_count, scale: scale,
      into: try require(out, "out"))
  }
}

/// The one-layer cache behind a handle.
private final class LatentCachePart {
  let cache: LatentCache

  /// - Parameter fields: the object that `dormouse_latent_cache_create` describes.
  init(_ fields: JSONFields) throws(Failure) {
    try fields.refuseMembers(besides: ["kv_lora_rank", "qk_rope_head_dim", "capacity", "type"])
    let rank = try fields.integer("kv_lora_rank", 1...Int(Int32.max))
    let rope = try fields.integer("qk_rope_head_dim", 0...Int(Int32.max))
    let capacity = try fields.integer("capacity", 1...Int(Int32.max))
    let type = try fields.optionalString("type") ?? "f32"
    guard let rowType = CacheRowType(rawValue: type) else {
      throw fields.wrong("type", .string(type), expected: "f32, bf16 or int8")
    }
    let layout = try PageLayout(layerCount: 1, kvLoraRank: rank, qkRopeHeadDimension: rope, rowType: rowType)
    let pool = PagePool(
      layout: layout, kernels: try Kernels.selected(), budget: MemoryBudget(limit: nil, name: "memory"))
    cache = try LatentCache(pool: pool, capacity: capacity)
  }

  /// - Parameter rowCount: how many of the rows to attend over; 0 for all.
  func attend(
    query: UnsafePointer<Float>, heads: Int, rowCount: Int, scale: Float, into out: UnsafeMutablePointer<Float>
  ) throws(Failure) {
    guard (0...cache.length).contains(rowCount) else {
      throw Failure(.invalidArgument, "row_count is \(rowCount), but the cache holds \(cache.length) rows")
    }
    try cache.attend(
      query: query, heads: heads, scale: scale, section: 0, count: rowCount == 0 ? cache.length : rowCount,
      into: out)
  }
}

/// The object that a part is made from.
func readConfiguration(_ text: UnsafePointer<CChar>?) throws(Failure) -> JSONFields {
  try JSONFields(argument: try readString(text, "config_json"), name: "config_json")
}
