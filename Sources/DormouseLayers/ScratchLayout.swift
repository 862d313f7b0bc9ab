public import DormouseSupport

/// Where a model's intermediate results lie in one block of memory; counts are 4-byte words.
public struct ScratchLayout: Sendable {
  public private(set) var wordCount = 0

  public init() {}

  /// Room for `count` words at the next multiple of a cache line; returns its offset in words.
  public mutating func words(_ factors: Int...) throws(Failure) -> Int {
    let offset = wordCount
    let line = AlignedBuffer.alignment / 4
    let count = try CheckedSize.product(factors, of: "a model's scratch memory")
    let padded = try CheckedSize.sum(offset, count, line - 1, of: "a model's scratch memory")
    wordCount = padded / line * line
    return offset
  }

  /// `count` words rounded up to whole cache lines, so that two threads never write to the same one.
  public static func wholeLines(_ count: Int) -> Int {
    let line = AlignedBuffer.alignment / 4
    return CheckedSize.ceilingQuotient(count, line) * line
  }

  public func byteCount() throws(Failure) -> Int {
    try CheckedSize.product(wordCount, 4, of: "a model's scratch memory")
  }
}
