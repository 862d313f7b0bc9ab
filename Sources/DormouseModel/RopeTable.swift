import DormouseKernels
import Glibc

/// Rotation of the positional channels (RoPE, arXiv 2104.09864).
struct RopeTable: Sendable {
  /// Radians a position: [dimension / 2].
  let inverseFrequencies: [Float]
  let attentionFactor: Float
  /// Channels 2i and 2i+1 turn together; else i and i + dimension / 2.
  let interleaved: Bool

  init(_ attention: AttentionConfiguration) {
    inverseFrequencies = attention.rope.inverseFrequencies(dimension: attention.qkRopeHeadDimension)
    attentionFactor = Float(attention.rope.attentionFactor)
    interleaved = attention.ropeInterleaved
  }

  var pairCount: Int { inverseFrequencies.count }

  /// Writes cos and sin of `count` positions from `first` on: [count, pairCount] each, YaRN's factor in both.
  func fill(first: Int, count: Int, cosines: UnsafeMutablePointer<Float>, sines: UnsafeMutablePointer<Float>) {
    for index in 0..<count {
      let position = Float(first + index)
      for pair in 0..<pairCount {
        let angle = position * inverseFrequencies[pair]
        cosines[index * pairCount + pair] = cosf(angle) * attentionFactor
        sines[index * pairCount + pair] = sinf(angle) * attentionFactor
      }
    }
  }

  /// Rotates `x` [2 * pairCount] in place by one position's cos and sin [pairCount]; the channels keep their places.
  func rotate(_ x: UnsafeMutablePointer<Float>, cosines: UnsafePointer<Float>, sines: UnsafePointer<Float>) {
    let stride = interleaved ? 2 : 1
    let distance = interleaved ? 1 : pairCount
    for pair in 0..<pairCount {
      let a = x[pair * stride]
      let b = x[pair * stride + distance]
      x[pair * stride] = a * cosines[pair] - b * sines[pair]
      x[pair * stride + distance] = b * cosines[pair] + a * sines[pair]
    }
  }
}
