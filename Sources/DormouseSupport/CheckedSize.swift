/// Sizes that come from files and callers: every sum and product goes through here, so that an overflow is a
/// `Failure` and never a trap.
public enum CheckedSize {
  /// The product of `factors`, each of which must not be negative.
  public static func product(_ factors: Int..., of what: @autoclosure () -> String) throws(Failure) -> Int {
    try product(factors, of: what())
  }

  /// The product of `factors`, each of which must not be negative; 1 for none.
  public static func product(_ factors: [Int], of what: @autoclosure () -> String) throws(Failure) -> Int {
    var result = 1
    for factor in factors {
      let (value, overflow) = result.multipliedReportingOverflow(by: factor)
      if overflow || factor < 0 { throw tooLarge(what(), factors) }
      result = value
    }
    return result
  }

  /// The sum of `terms`, each of which must not be negative; 0 for none.
  public static func sum(_ terms: Int..., of what: @autoclosure () -> String) throws(Failure) -> Int {
    var result = 0
    for term in terms {
      let (value, overflow) = result.addingReportingOverflow(term)
      if overflow || term < 0 { throw tooLarge(what(), terms) }
      result = value
    }
    return result
  }

  /// `value` divided by `divisor` (greater than 0), rounded up; `value` must not be negative.
  @inlinable public static func ceilingQuotient(_ value: Int, _ divisor: Int) -> Int {
    value / divisor + (value % divisor == 0 ? 0 : 1)
  }

  private static func tooLarge(_ what: String, _ parts: [Int]) -> Failure {
    Failure(.malformed, "\(what) is out of range: \(parts)")
  }
}
