import DormouseMedia
import DormouseSupport

/// Images by formula, as `Tests/Fixtures/vision/synthetic_images.py` has them.
enum SyntheticImages {
  /// [height, width, 3]: smooth in places, steep in others.
  static func bytes(_ width: Int, _ height: Int, seed: Int) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(width * height * 3)
    for y in 0..<height {
      for x in 0..<width {
        let pixel = x * x * 3 + y * y * 5 + x * y * 7 + x * 11 + y * 23 + seed * 31
        for channel in 0..<3 { bytes.append(UInt8(truncatingIfNeeded: pixel + channel * 50)) }
      }
    }
    return bytes
  }

  static func image(_ width: Int, _ height: Int, seed: Int) throws -> RGBImage {
    try RGBImage(width: width, height: height, bytes: bytes(width, height, seed: seed))
  }
}
