/// One progress over jobs that are done one after another, each of which reports its own.
public struct ProgressParts {
  private let progress: Progress?
  private let total: UInt64
  /// Units of the jobs handed out so far.
  private var start: UInt64 = 0

  /// - Parameters:
  ///   - progress: of all jobs together; nil where nobody listens.
  ///   - total: units of all jobs.
  public init(_ progress: Progress?, total: UInt64) {
    self.progress = progress
    self.total = total
  }

  /// The progress of the next job, which may count in units of its own.
  /// - Parameter count: its part of the total.
  public mutating func next(_ count: UInt64) -> Progress? {
    guard let progress, count < total else { return progress }
    let (first, part, total) = (start, min(count, total - start), total)
    start += part
    return { done, all in progress(first + ProgressParts.share(of: part, done, all), total) }
  }

  /// `whole * done / all`, `whole` at most.
  public static func share(of whole: UInt64, _ done: UInt64, _ all: UInt64) -> UInt64 {
    guard done < all else { return whole }
    return all.dividingFullWidth(whole.multipliedFullWidth(by: done)).quotient
  }
}
