import DormouseAudio
import DormouseKernels
import DormouseLayers
import DormouseSupport

/// An audio tower at work on the windows of audio.
struct WhisperTowerRun: EncodingRun {
  private let tower: WhisperTower
  private var rows: AudioRows
  private let windows: [WhisperTowerConfiguration.Window]
  private let features: AudioFeatures
  private let encoder: AudioEncoder
  private let projector: AudioProjector
  /// Windows that are done.
  private var windowCount = 0
  /// The next layer of the window.
  private var layer = 0

  /// - Parameters:
  ///   - samples: 16,000 a second, finite.
  ///   - rows: [rows of the audio, text hidden size]; the caller keeps them as long as the run.
  /// - Throws: `Failure(.invalidArgument)` for audio that the tower does not take or a buffer too small,
  ///   `Failure(.outOfMemory)`.
  init(
    _ tower: WhisperTower, _ samples: [Float], into rows: UnsafeMutableBufferPointer<Float>,
    _ interruption: Interruption = .never
  ) throws(Failure) {
    let c = tower.configuration
    self.tower = tower
    self.rows = try AudioRows(
      rows, count: try tower.tokenCount(sampleCount: samples.count), width: c.textHiddenSize)
    windows = try c.windows(sampleCount: samples.count, features: tower.folder.features)
    try Kernels.reserveThreadScratch(WhisperTower.threadScratchByteCount(c, tower.kernels), pool: tower.pool)
    encoder = try AudioEncoder(c.encoder, tower.weights.encoder, pool: tower.pool, kernels: tower.kernels)
    projector = try AudioProjector(tower.weights.projector, c)
    features = try AudioFeatures(
      samples, tower.spectrogram, isWhole: c.architecture == .voxtral, pool: tower.pool, interruption)
  }

  /// Seconds of the audio before the window that is next or at work.
  var seconds: Double {
    let start = windowCount < windows.count ? windows[windowCount].samples.lowerBound : 0
    return Double(start) / Double(LogMelConfiguration.samplingRate)
  }

  mutating func prepareNext() throws(Failure) -> Bool {
    guard windowCount < windows.count else { return false }
    let count = windows[windowCount].positions
    try features.load(windows[windowCount].samples)
    features.withRows { encoder.begin($0, count: count) }
    layer = 0
    return true
  }

  mutating func advance() throws(Failure) -> Bool {
    guard windowCount < windows.count else { return true }
    if layer < encoder.layerCount {
      encoder.run(layer: layer)
      layer += 1
      return false
    }
    let window = windows[windowCount]
    let target = try rows.next(window.rows)
    finish(window)
    projector.run(encoder.blocks, count: window.rows, into: target)
    windowCount += 1
    return true
  }

  /// The last norm, of the mean of two neighbours where the model takes it before.
  private func finish(_ window: WhisperTowerConfiguration.Window) {
    guard tower.configuration.architecture == .audioFlamingo3 else { return encoder.finish(window.positions) }
    let size = tower.configuration.encoder.hiddenSize
    let hidden = encoder.blocks.hidden
    for row in 0..<window.rows {
      for channel in 0..<size {
        let place = 2 * row * size + channel
        hidden[row * size + channel] = (hidden[place] + hidden[place + size]) / 2
      }
    }
    encoder.finish(window.rows)
  }
}

/// `linear_2(gelu(linear_1(x)))`, with x the encoder's rows, as many side by side as the first map takes.
private struct AudioProjector {
  private let first: Linear
  private let second: Linear
  /// [rows of a window, text hidden].
  private let middle: AlignedBuffer

  init(_ maps: (first: Linear, second: Linear), _ c: WhisperTowerConfiguration) throws(Failure) {
    first = maps.first
    second = maps.second
    middle = try AlignedBuffer(byteCount: c.projectorByteCount(), for: "a projector's scratch memory")
  }

  func run(_ blocks: TransformerBlocks, count: Int, into rows: UnsafeMutablePointer<Float>) {
    guard count > 0, let between = middle.bound(to: Float.self).baseAddress else { return }
    blocks.product(first, blocks.normed, count, into: between)
    blocks.activate(between, count, width: first.weight.rows)
    blocks.product(second, between, count, into: rows)
    withExtendedLifetime(middle) {}
  }
}
