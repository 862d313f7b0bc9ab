/// Stands between a C callback, which gets a struct of type `Value`, and a Swift closure.
final class Receiver<Value> {
  private let onValue: (Value) throws(CommandFailure) -> Void
  fileprivate private(set) var failure: CommandFailure?

  fileprivate init(_ onValue: @escaping (Value) throws(CommandFailure) -> Void) { self.onValue = onValue }

  /// The callback's `user_data`.
  var pointer: UnsafeMutableRawPointer { Unmanaged.passUnretained(self).toOpaque() }

  /// The callback's body.
  /// - Returns: 1 to stop the work.
  static func receive(_ receiver: UnsafeMutableRawPointer?, _ value: UnsafePointer<Value>?) -> Int32 {
    guard let receiver, let value else { return 1 }
    return Unmanaged<Receiver>.fromOpaque(receiver).takeUnretainedValue().receive(value.pointee)
  }

  private func receive(_ value: Value) -> Int32 {
    do throws(CommandFailure) {
      try onValue(value)
      return 0
    } catch {
      failure = error
      return 1
    }
  }
}

/// Runs `body` with a receiver for `onValue`; what `onValue` throws stops the work and comes out of here.
func withReceiver<Value>(
  _ onValue: (Value) throws(CommandFailure) -> Void, _ body: (Receiver<Value>) throws(CommandFailure) -> Void
) throws(CommandFailure) {
  try withoutActuallyEscaping(onValue) { onValue throws(CommandFailure) in
    let receiver = Receiver(onValue)
    try withExtendedLifetime(receiver) { () throws(CommandFailure) in try body(receiver) }
    if let failure = receiver.failure { throw failure }
  }
}
