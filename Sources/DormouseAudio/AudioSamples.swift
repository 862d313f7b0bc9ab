public import DormouseSupport

/// The samples of audio, and the memory that is set aside for them.
public struct AudioSamples: Sendable {
  public private(set) var values: [Float]
  private var reservation: MemoryBudget.Reservation?
  private let budget: MemoryBudget?
  /// Samples that there is room for.
  private var capacity = 0

  private static let purpose = "the samples of audio"

  /// Samples that somebody else keeps.
  public init(_ values: [Float]) {
    self.values = values
    budget = nil
  }

  /// None yet.
  /// - Parameter expected: as many as will come, as far as that is known.
  public init(expecting expected: Int, budget: MemoryBudget?) throws(Failure) {
    values = []
    self.budget = budget
    try grow(to: expected)
  }

  /// - Throws: `Failure(.outOfMemory)` where the budget has no room for more.
  public mutating func append(_ piece: UnsafeBufferPointer<Float>) throws(Failure) {
    let count = values.count + piece.count
    if count > capacity { try grow(to: max(count, capacity + capacity / 2, Self.leastCapacity)) }
    values.append(contentsOf: piece)
  }

  private static let leastCapacity = 1 << 16

  /// While samples move, both places count.
  private mutating func grow(to count: Int) throws(Failure) {
    guard count > capacity else { return }
    let byteCount = try CheckedSize.product(count, MemoryLayout<Float>.stride, of: Self.purpose)
    let larger = try budget?.reserve(UInt64(byteCount), for: Self.purpose)
    values.reserveCapacity(count)
    reservation = larger
    capacity = count
  }
}
