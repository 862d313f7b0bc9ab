import DormouseSupport

/// Counts how often work asks whether it is still wanted, and stops it at some time.
final class Asked: Sendable {
  static let failure = Failure(.timedOut, "too late")
  private let state = Locked(0)

  var count: Int { state.withLock { $0 } }

  func interruption(at limit: Int? = nil) -> Interruption {
    Interruption { [state] in
      state.withLock { count in
        count += 1
        return count == limit ? Self.failure : nil
      }
    }
  }
}
