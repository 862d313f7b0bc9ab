internal import CHost

/// Tells a long piece of work whether its caller still wants it: a cancelled call, or one past its time limit.
///
/// Whatever loops over what a file or a caller brought (reading, decoding, resampling, rendering, tokenizing, encoding)
/// takes one of these and asks between its pieces, often enough that the call ends within one layer's time.
public struct Interruption: Sendable {
  private let reason: (@Sendable () -> Failure?)?

  /// - Parameter reason: why the work should stop, if it should; called on any thread, many times a second.
  public init(_ reason: @escaping @Sendable () -> Failure?) { self.reason = reason }

  private init() { reason = nil }

  /// For work that nobody stops.
  public static let never = Interruption()

  /// Why the work should stop, if it should.
  public var failure: Failure? {
    host_let_forks_pass()
    return reason?()
  }

  /// Throws that failure: `.cancelled` or `.timedOut`.
  public func check() throws(Failure) {
    if let failure { throw failure }
  }
}
