internal import CZlib
import Glibc

/// How much a window's tokens shrink when zlib compresses them (`_retrieve_compression_ratio` of transformers 5.23).
enum TokenCompression {
  /// Bytes of the tokens over compressed bytes; each token takes as many bytes as the vocabulary's size needs.
  static func ratio(_ tokens: [Int32], vocabularySize: Int) -> Double {
    let width = Int(log2(Double(max(vocabularySize, 1))) / 8) + 1
    var bytes: [UInt8] = []
    bytes.reserveCapacity(tokens.count * width)
    for token in tokens {
      for index in 0..<width {
        bytes.append(UInt8(truncatingIfNeeded: UInt32(bitPattern: token) >> (8 * UInt32(index))))
      }
    }
    var size = compressBound(uLong(bytes.count))
    var compressed = [UInt8](repeating: 0, count: Int(size))
    guard compress(&compressed, &size, bytes, uLong(bytes.count)) == Z_OK, size > 0 else { return 0 }
    return Double(bytes.count) / Double(size)
  }
}
