/// Stands between a C callback, which gets a struct of type `Value`, and a Swift closure.
final class Receiver<Value: BitwiseCopyable> {
  private let zero: Value
  private let onValue: (Value) throws -> Void
  fileprivate private(set) var error: (any Error)?

  fileprivate init(zero: Value, _ onValue: @escaping (Value) throws -> Void) {
    self.zero = zero
    self.onValue = onValue
  }

  /// The callback's `user_data`.
  var pointer: UnsafeMutableRawPointer { Unmanaged.passUnretained(self).toOpaque() }

  /// The callback's body.
  /// - Returns: 1 to stop the work.
  static func receive(_ receiver: UnsafeMutableRawPointer?, _ value: UnsafePointer<Value>?) -> Int32 {
    guard let receiver, let value else { return 1 }
    return Unmanaged<Receiver>.fromOpaque(receiver).takeUnretainedValue().receive(value)
  }

  private func receive(_ pointer: UnsafePointer<Value>) -> Int32 {
    do {
      try onValue(copy(pointer))
      return 0
    } catch {
      self.error = error
      return 1
    }
  }

  /// The struct as this client knows it. A library of another version has a shorter or a longer one, whose first member
  /// says how many bytes it has.
  private func copy(_ pointer: UnsafePointer<Value>) -> Value {
    let raw = UnsafeRawPointer(pointer)
    let size = Int(raw.load(as: UInt32.self))
    var value = zero
    withUnsafeMutableBytes(of: &value) { bytes in
      bytes.copyMemory(from: UnsafeRawBufferPointer(start: raw, count: min(size, bytes.count)))
    }
    return value
  }
}

/// Runs `body`, which calls the library, with a receiver for `onValue`; what `onValue` throws stops the work and comes out
/// of here.
func withReceiver<Value: BitwiseCopyable>(
  zero: Value, _ onValue: (Value) throws -> Void, calling body: (Receiver<Value>) throws -> Void
) throws {
  try withoutActuallyEscaping(onValue) { onValue in
    let receiver = Receiver(zero: zero, onValue)
    try withExtendedLifetime(receiver) { try body(receiver) }
    if let error = receiver.error { throw error }
  }
}
