import DormouseAudio
import DormouseKernels
import DormouseLayers
import DormouseSupport

struct WhisperTowerWeights: Sendable {
  let encoder: AudioEncoderWeights
  /// [text hidden, projector inputs], [text hidden, text hidden].
  let projector: (first: Linear, second: Linear)
}

/// Whisper's encoder, and `linear_2(gelu(linear_1(x)))`, with x the encoder's rows, as many side by side as the first map
/// takes.
struct WhisperTowerNetwork: AudioNetwork {
  private let configuration: WhisperTowerConfiguration
  private let encoder: AudioEncoder
  private let projector: (first: Linear, second: Linear)
  /// [rows of a window, text hidden].
  private let middle: AlignedBuffer

  init(_ tower: WhisperTower) throws(Failure) {
    configuration = tower.configuration
    encoder = try AudioEncoder(
      configuration.encoder, tower.weights.encoder, pool: tower.pool, kernels: tower.kernels)
    projector = tower.weights.projector
    middle = try AlignedBuffer(
      byteCount: configuration.projectorByteCount(), for: "a projector's scratch memory")
  }

  func begin(_ window: AudioWindow, _ features: AudioFeatures) {
    features.withRows { encoder.begin($0, count: window.inputCount) }
  }

  func stepCount(_ window: AudioWindow) -> Int { encoder.layerCount }

  func run(step: Int, of window: AudioWindow, _ features: AudioFeatures) { encoder.run(layer: step) }

  func finish(_ window: AudioWindow, into rows: UnsafeMutablePointer<Float>) {
    if configuration.projection.averages {
      averageNeighbors(window.rows)
      encoder.finish(window.rows)
    } else {
      encoder.finish(window.inputCount)
    }
    project(window.rows, into: rows)
  }

  /// The stream's rows become the means of each two neighbours.
  private func averageNeighbors(_ rowCount: Int) {
    let size = configuration.encoder.hiddenSize
    let hidden = encoder.blocks.hidden
    for row in 0..<rowCount {
      for channel in 0..<size {
        let place = 2 * row * size + channel
        hidden[row * size + channel] = (hidden[place] + hidden[place + size]) / 2
      }
    }
  }

  private func project(_ count: Int, into rows: UnsafeMutablePointer<Float>) {
    guard count > 0, let between = middle.bound(to: Float.self).baseAddress else { return }
    let blocks = encoder.blocks
    blocks.product(projector.first, blocks.normed, count, into: between)
    blocks.activate(between, count, width: projector.first.weight.rows)
    blocks.product(projector.second, between, count, into: rows)
    withExtendedLifetime(middle) {}
  }
}
