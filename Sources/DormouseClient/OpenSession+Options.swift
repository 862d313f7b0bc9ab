internal import CDormouse

extension OpenSession {
  /// Zero and nil mean the library's default, which dormouse.h states for each.
  public struct Options: Sendable {
    /// Tokens.
    public var contextLength: UInt32 = 0
    public var cache: Cache?
    public var attention: Attention?
    /// Neither uses what other sessions computed nor leaves them anything.
    public var isPrivate = false
    /// Uses of it only what it would have computed itself, bit for bit.
    public var isReproducible = false
    public var overflow: Overflow?
    /// With `slide`: tokens at the beginning that always stay.
    public var keepTokens: UInt32 = 0

    public init() {}
  }

  /// The type of the cache's rows.
  public enum Cache: String, Sendable, CaseIterable {
    case f32, bf16
    /// Latents in bytes with a scale a row, rotated keys in bf16.
    case int8
  }

  /// The form in which attention is computed.
  public enum Attention: String, Sendable, CaseIterable {
    case expanded, absorbed
  }

  /// What happens when the context is full.
  public enum Overflow: String, Sendable, CaseIterable {
    /// Answers end; further tokens are `contextFull`.
    case stop
    /// The oldest tokens are dropped.
    case slide
  }
}

extension OpenSession.Options {
  /// The header's struct.
  var settings: dormouse_session_options {
    var settings = dormouse_session_options()
    settings.struct_size = UInt32(MemoryLayout<dormouse_session_options>.size)
    settings.context_length = contextLength
    settings.cache =
      switch cache {
      case nil: 0
      case .f32: Int32(DORMOUSE_CACHE_F32)
      case .bf16: Int32(DORMOUSE_CACHE_BF16)
      case .int8: Int32(DORMOUSE_CACHE_INT8)
      }
    settings.attention =
      switch attention {
      case nil: 0
      case .expanded: Int32(DORMOUSE_ATTENTION_EXPANDED)
      case .absorbed: Int32(DORMOUSE_ATTENTION_ABSORBED)
      }
    settings.flags =
      (isPrivate ? UInt32(DORMOUSE_SESSION_PRIVATE) : 0)
      | (isReproducible ? UInt32(DORMOUSE_SESSION_REPRODUCIBLE) : 0)
    settings.overflow =
      switch overflow {
      case nil: 0
      case .stop: Int32(DORMOUSE_OVERFLOW_STOP)
      case .slide: Int32(DORMOUSE_OVERFLOW_SLIDE)
      }
    settings.keep_tokens = keepTokens
    return settings
  }
}
