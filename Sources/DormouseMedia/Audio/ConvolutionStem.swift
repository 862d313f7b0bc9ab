import DormouseKernels
import DormouseLayers
import DormouseSupport

/// Three convolutions of 3 x 3 and stride 2 over bands and frames, each with GELU, and a product: 8 frames of log-mel
/// features become a row (`Dots3NoteAudioConvStem` of transformers 5.23). What is behind a chunk's frames is zero before
/// every convolution.
///
/// Some rows at a time, with the frames that their edges see computed anew, so that its memory does not grow with the chunk.
/// The channels of a band of a frame lie side by side: a level is [frames, bands, channels].
struct ConvolutionStem {
  /// Bands and frames that a convolution sees.
  static let kernelSize = 3
  /// Rows that `run` makes, at most.
  static let blockRows = 32
  /// Rows of a convolution's input gathered at a time.
  static let gatheredRows = 256

  /// Where a block's levels lie, and how much it is.
  struct Layout {
    /// [frames of a level, bands, channels], after each convolution.
    let levels: [Int]
    /// [gathered rows, 9 * channels], or [block rows, channels * bands] of the last level.
    let gathered: Int

    init(_ c: DotsAudioConfiguration, _ layout: inout ScratchLayout) throws(Failure) {
      let count = DotsAudioConfiguration.convolutionCount
      var levels: [Int] = []
      for level in 1...count {
        let frames = ConvolutionStem.frames(0..<ConvolutionStem.blockRows, level: level).count
        levels.append(try layout.words(frames, c.bands(level), c.downsampleSize))
      }
      self.levels = levels
      let squares = ConvolutionStem.kernelSize * ConvolutionStem.kernelSize
      gathered = try layout.words(
        max(
          ConvolutionStem.gatheredRows * squares * c.downsampleSize,
          ConvolutionStem.blockRows * c.downsampleSize * c.bands(count)))
    }
  }

  let configuration: DotsAudioConfiguration
  let weights: DotsAudioWeights
  let layout: Layout
  /// What the layout's offsets count from.
  let words: UnsafeMutablePointer<Float>
  let queue: ProductQueue

  /// Frames of `level` that rows are made of: twice as many and one more at each level down, on either side.
  private static func frames(_ rows: Range<Int>, level: Int) -> Range<Int> {
    (level..<DotsAudioConfiguration.convolutionCount).reduce(rows) { frames, _ in
      2 * frames.lowerBound - 1..<2 * frames.upperBound
    }
  }

  /// - Parameters:
  ///   - features: [frames, mel bins], of which `frameCount` count.
  ///   - rows: at most `blockRows`.
  ///   - target: [rows.count, hidden].
  func run(
    _ features: UnsafePointer<Float>, frameCount: Int, rows: Range<Int>, into target: UnsafeMutablePointer<Float>
  ) {
    var input = Level(values: features, first: 0, valid: 0..<frameCount, bands: configuration.melBinCount, channels: 1)
    for (index, kernel) in weights.convolutions.enumerated() {
      let frames = Self.frames(rows, level: index + 1)
      let output = words + layout.levels[index]
      let level = Level(
        values: output, first: frames.lowerBound, valid: 0..<(input.valid.upperBound + 1) / 2,
        bands: configuration.bands(index + 1), channels: configuration.downsampleSize)
      convolve(kernel, input, frames, level, into: output)
      input = level
    }
    finish(input, rows, into: target)
  }

  /// Values [frames from `first` on, bands, channels].
  private struct Level {
    let values: UnsafePointer<Float>
    let first: Int
    /// Frames that count; the others are zero, whatever lies there.
    let valid: Range<Int>
    let bands: Int
    let channels: Int

    /// The channels of a band of a frame; nil for zeroes.
    func channels(band: Int, frame: Int) -> UnsafePointer<Float>? {
      guard band >= 0, band < bands, valid.contains(frame) else { return nil }
      return values + ((frame - first) * bands + band) * channels
    }
  }

  private func convolve(
    _ kernel: Linear, _ input: Level, _ frames: Range<Int>, _ output: Level, into target: UnsafeMutablePointer<Float>
  ) {
    let counted = frames.clamped(to: output.valid)
    guard !counted.isEmpty else { return }
    let (bands, width) = (output.bands, output.channels)
    let inputs = input.channels * Self.kernelSize * Self.kernelSize
    let gathered = words + layout.gathered
    let total = counted.count * bands
    let start = target + (counted.lowerBound - frames.lowerBound) * bands * width
    for first in stride(from: 0, to: total, by: Self.gatheredRows) {
      let some = min(Self.gatheredRows, total - first)
      queue.pool.forEachToken(some) { index in
        let (frame, band) = (counted.lowerBound + (first + index) / bands, (first + index) % bands)
        gather(input, band: band, frame: frame, into: gathered + index * inputs)
      }
      let y = start + first * width
      queue.run(kernel, x: Activations(floats: gathered, stride: inputs), count: some, y: y)
      queue.pool.forEachToken(some) { queue.kernels.gelu(y + $0 * width, count: width) }
    }
  }

  /// The square that a place of the result sees, in the order of the kernel in the file: [channels, bands, frames].
  private func gather(_ input: Level, band: Int, frame: Int, into target: UnsafeMutablePointer<Float>) {
    let size = Self.kernelSize
    for i in 0..<size {
      for j in 0..<size {
        let place = target + (i * size + j)
        let source = input.channels(band: 2 * band + i - 1, frame: 2 * frame + j - 1)
        for channel in 0..<input.channels { place[channel &* size &* size] = source?[channel] ?? 0 }
      }
    }
  }

  /// The product of the last level's rows, channels outside and bands inside.
  private func finish(_ level: Level, _ rows: Range<Int>, into target: UnsafeMutablePointer<Float>) {
    let gathered = words + layout.gathered
    let width = level.bands * level.channels
    queue.pool.forEachToken(rows.count) { index in
      let row = gathered + index * width
      for band in 0..<level.bands {
        let source = level.channels(band: band, frame: rows.lowerBound + index)
        for channel in 0..<level.channels { row[channel &* level.bands &+ band] = source?[channel] ?? 0 }
      }
    }
    queue.run(weights.stemOutput, x: Activations(floats: gathered, stride: width), count: rows.count, y: target)
  }
}
