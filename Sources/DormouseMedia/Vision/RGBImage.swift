public import DormouseSupport

/// An image of 8-bit red, green and blue: [height, width, 3], rows without gaps.
public struct RGBImage: @unchecked Sendable {
  public let width: Int
  public let height: Int
  private let storage: Storage

  private enum Storage {
    case owned([UInt8])
    case borrowed(UnsafeRawBufferPointer)
  }

  /// Pixels of a side, at most.
  public static let maximumSide = 65_535
  /// Pixels of an image, at most.
  public static let maximumPixelCount = 1 << 28

  /// - Parameter bytes: [height, width, 3].
  /// - Throws: `Failure(.invalidArgument)` for a side outside 1...`maximumSide`, more than `maximumPixelCount` pixels, or
  ///   another number of bytes.
  public init(width: Int, height: Int, bytes: [UInt8]) throws(Failure) {
    try Self.check(width, height, byteCount: bytes.count)
    self.width = width
    self.height = height
    storage = .owned(bytes)
  }

  /// An image in memory of the caller's, which must stay as it is as long as this value is in use.
  /// - Throws: as `init(width:height:bytes:)`.
  public init(width: Int, height: Int, borrowing bytes: UnsafeRawBufferPointer) throws(Failure) {
    try Self.check(width, height, byteCount: bytes.count)
    self.width = width
    self.height = height
    storage = .borrowed(bytes)
  }

  public var byteCount: Int { width * height * 3 }

  /// Calls `body` with [height, width, 3].
  public func withBytes<Result>(_ body: (UnsafePointer<UInt8>) throws(Failure) -> Result) throws(Failure) -> Result {
    switch storage {
    case .borrowed(let bytes): return try body(try Self.base(bytes))
    case .owned(let bytes):
      // Array's own method does not carry a typed error.
      let result = bytes.withUnsafeBytes { buffer in
        Swift.Result { () throws(Failure) in try body(try Self.base(buffer)) }
      }
      return try result.get()
    }
  }

  private static func base(_ bytes: UnsafeRawBufferPointer) throws(Failure) -> UnsafePointer<UInt8> {
    guard let base = bytes.baseAddress else { throw Failure(.internalError, "an image has no memory") }
    return base.assumingMemoryBound(to: UInt8.self)
  }

  private static func check(_ width: Int, _ height: Int, byteCount: Int) throws(Failure) {
    try checkSize(width: width, height: height)
    let expected = width * height * 3
    guard byteCount == expected else {
      throw Failure(
        .invalidArgument,
        "an image of \(width) x \(height) pixels has \(byteCount) bytes; expected \(expected): height * width * 3")
    }
  }

  /// - Throws: `Failure(.invalidArgument)` for a side or a number of pixels that no image may have.
  public static func checkSize(width: Int, height: Int) throws(Failure) {
    let sides = 1...maximumSide
    guard sides.contains(width), sides.contains(height), width * height <= maximumPixelCount else {
      throw Failure(
        .invalidArgument,
        "an image has \(width) x \(height) pixels; expected sides from 1 to \(maximumSide)"
          + " and at most \(maximumPixelCount) pixels")
    }
  }
}
