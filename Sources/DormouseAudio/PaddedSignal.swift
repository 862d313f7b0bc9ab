/// Audio as a centred short-time Fourier transform sees it: its samples, silence up to a length, and both ends
/// mirrored (`torch.stft` with `center` and reflection). The samples belong to the caller.
public struct PaddedSignal {
  let samples: UnsafeBufferPointer<Float>
  /// Samples with the silence.
  public let count: Int

  /// - Parameter count: at least as many as there are samples; fewer count as none of it.
  public init(_ samples: UnsafeBufferPointer<Float>, paddedTo count: Int = 0) {
    self.samples = samples
    self.count = max(count, samples.count)
  }

  /// Copies the samples at `range` of positions, which may reach `count - 1` beyond either end.
  func copy(_ range: Range<Int>, into target: UnsafeMutablePointer<Float>) {
    let inside = range.clamped(to: 0..<samples.count)
    if let base = samples.baseAddress, !inside.isEmpty {
      (target + (inside.lowerBound - range.lowerBound)).update(from: base + inside.lowerBound, count: inside.count)
    }
    for position in range where !inside.contains(position) {
      target[position - range.lowerBound] = sample(position)
    }
  }

  private func sample(_ position: Int) -> Float {
    let mirrored = position < 0 ? -position : position < count ? position : 2 * (count - 1) - position
    return samples.indices.contains(mirrored) ? samples[mirrored] : 0
  }
}
