import DormouseAudio
import DormouseKernels
import DormouseSupport

/// The network of an audio tower at work on one window after the other, in memory of its own.
protocol AudioNetwork {
  /// Takes up a window, whose features have been loaded.
  func begin(_ window: AudioWindow, _ features: AudioFeatures)

  /// Steps of a window, about a layer each.
  func stepCount(_ window: AudioWindow) -> Int

  func run(step: Int, of window: AudioWindow, _ features: AudioFeatures)

  /// What comes behind the last step.
  /// - Parameter rows: [window.rows, text hidden size].
  func finish(_ window: AudioWindow, into rows: UnsafeMutablePointer<Float>)
}

/// An audio tower at work on the windows of audio.
struct AudioTowerRun: EncodingRun {
  private let windows: [AudioWindow]
  private let network: any AudioNetwork
  private let features: AudioFeatures
  /// [rows of the audio, width], one window behind the other, in the caller's memory.
  private let rows: UnsafeMutablePointer<Float>
  private let width: Int
  /// Windows that are done, and rows that were made of them.
  private var windowCount = 0
  private var rowCount = 0
  /// The next step of the window.
  private var step = 0

  /// Parameters and errors are those of `AudioTower.begin`.
  init<Configuration>(
    _ tower: AudioTower<Configuration>, _ samples: [Float], into rows: UnsafeMutableBufferPointer<Float>,
    _ interruption: Interruption
  ) throws(Failure) {
    let c = tower.configuration
    windows = try tower.folder.windows(sampleCount: samples.count)
    width = c.textHiddenSize
    let needed = try CheckedSize.product(windows.reduce(0) { $0 + $1.rows }, width, of: "the audio's rows")
    guard rows.count >= needed, let base = rows.baseAddress else {
      throw Failure(.invalidArgument, "room for \(rows.count) values of the audio's rows; \(needed) are to be written")
    }
    self.rows = base
    try Kernels.reserveThreadScratch(
      c.threadScratchByteCount(tower.folder.processor.features, tower.kernels), pool: tower.pool)
    network = try Configuration.network(tower)
    features = try AudioFeatures(
      samples, tower.spectrogram, isWhole: c.hearsWhole, pool: tower.pool, interruption)
  }

  mutating func prepareNext() throws(Failure) -> Bool {
    guard windowCount < windows.count else { return false }
    try features.load(windows[windowCount].samples)
    network.begin(windows[windowCount], features)
    step = 0
    return true
  }

  mutating func advance() throws(Failure) -> Bool {
    guard windowCount < windows.count else { return true }
    let window = windows[windowCount]
    if step < network.stepCount(window) {
      network.run(step: step, of: window, features)
      step += 1
      return false
    }
    network.finish(window, into: rows + rowCount * width)
    windowCount += 1
    rowCount += window.rows
    return true
  }
}
