extension Float {
  /// A number above 0 that sorts as the float does, NaN at the top and both zeroes equal.
  @inlinable public var sortKey: UInt32 {
    guard !isNaN else { return .max }
    let bits = (self + 0).bitPattern
    return bits >> 31 == 0 ? bits | 0x8000_0000 : ~bits
  }
}
