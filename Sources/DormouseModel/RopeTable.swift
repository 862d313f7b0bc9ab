import DormouseLayers
import Glibc

/// The angles by which the positional channels turn.
struct RopeTable: Sendable {
  /// Radians a position: [dimension / 2].
  private let inverseFrequencies: [Float]
  private let attentionFactor: Float
  private let pairs: RotaryPairs

  init(_ attention: LatentAttentionConfiguration) {
    let dimension = attention.qkRopeHeadDimension
    inverseFrequencies = attention.rope.inverseFrequencies(dimension: dimension)
    attentionFactor = Float(attention.rope.attentionFactor)
    pairs = RotaryPairs(headWidth: dimension, count: dimension / 2, isInterleaved: attention.ropeInterleaved)
  }

  var pairCount: Int { pairs.count }

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
    pairs.rotate(x, heads: 1, cosines: cosines, sines: sines)
  }
}

/// The angles of a batch's tokens in one kind of attention, which all its layers share.
struct RotaryPositions {
  private let table: RopeTable
  private let angles: Scratch.Angles

  init(_ attention: LatentAttentionConfiguration, _ angles: Scratch.Angles) {
    table = RopeTable(attention)
    self.angles = angles
  }

  /// Computes the angles of `count` tokens from position `first` on, whose rows in the scratch memory begin at `row`.
  func fill(first: Int, count: Int, row: Int) {
    let offset = row * table.pairCount
    table.fill(first: first, count: count, cosines: angles.cosines + offset, sines: angles.sines + offset)
  }

  /// Rotates the channels of a token of the batch in place.
  func rotate(_ x: UnsafeMutablePointer<Float>, _ token: Int) {
    let offset = token * table.pairCount
    table.rotate(x, cosines: angles.cosines + offset, sines: angles.sines + offset)
  }
}
