import DormouseAudio
import DormouseKernels
import DormouseSupport
import Testing

@testable import DormouseMedia

/// What becomes ready for a tower: up to each limit exactly, and no further; and what is known of it then.
@Suite struct PreparingTests {
  private static let omni = Fixtures.path("models-media/kimi_k25-omni")

  private static func vision() throws -> VisionEncoder {
    let folder = try VisionFolder(omni)
    let tower = try VisionTower(
      folder, residency: .memory, pool: ThreadPool(threadCount: 2), kernels: Kernels.selected(), progress: nil)
    return VisionEncoder(tower, folder.processor)
  }

  private static func hearing(_ name: String) throws -> WhisperTower {
    try WhisperTower(
      WhisperTowerFolder(Fixtures.path("models-media/\(name)")), residency: .memory, pool: ThreadPool(threadCount: 2),
      kernels: Kernels.selected(), progress: nil)
  }

  private static func held(_ count: Int) throws -> MediaItem {
    var audio = try HeldAudio(channelCount: 1, rate: 16000)
    try SyntheticAudio.voice(count, seed: 1).withUnsafeBufferPointer { try audio.append($0) }
    return .audio(audio)
  }

  private static func video(_ count: Int) throws -> MediaItem {
    let frames = try (0..<count).map { try SyntheticImages.image(40, 27, seed: $0) }
    return .video(try HeldVideo(frames, framesPerSecond: 2), framesPerSecond: nil)
  }

  private static func status(_ body: () throws -> Void) -> Status? {
    do {
      try body()
      return nil
    } catch { return (error as? Failure)?.status }
  }

  // MARK: - Limits

  /// Room for just its rows is room enough, and its pixels or samples may take just what the host allows.
  @Test func limitsAreMetExactly() throws {
    let (vision, hearing) = (try Self.vision(), try Self.hearing("good-audioflamingo3"))
    for (encoder, item, outputByteCount) in [
      (vision, MediaItem.image(try SyntheticImages.image(50, 37, seed: 1)), nil),
      (vision, try Self.video(9), 9 * 40 * 27 * 3), (hearing, try Self.held(40001), 4 * 40001),
    ] as [(any MediaEncoder, MediaItem, Int?)] {
      var terms = MediaTerms()
      let prepared = try encoder.prepare(item, terms)
      terms.rowLimit = prepared.rowCount
      #expect(try encoder.prepare(item, terms).contentHash == prepared.contentHash)
      terms.rowLimit = prepared.rowCount - 1
      #expect(Self.status { _ = try encoder.prepare(item, terms) } == .contextFull, "\(item.modality)")
      terms.rowLimit = nil
      guard let outputByteCount else { continue }
      terms.limits.outputLimit = UInt64(outputByteCount)
      #expect(try encoder.prepare(item, terms).rowCount == prepared.rowCount)
      terms.limits.outputLimit -= 1
      #expect(Self.status { _ = try encoder.prepare(item, terms) } == .unsupported, "\(item.modality)")
    }
  }

  /// Audio that tells one length, and has another.
  private struct ToldAudio: Audio {
    let seconds: Double
    let count: Int

    func exactSampleCount(rate: Int, kernels: Kernels) throws(Failure) -> Int? { nil }

    func samples(rate: Int, kernels: Kernels, limit: Int?, _ terms: MediaTerms) throws(Failure) -> AudioSamples {
      AudioSamples([Float](repeating: 0.1, count: min(count, limit.map { $0 + 1 } ?? count)))
    }

    func contentHash(_ interruption: Interruption) throws(Failure) -> ContentHash {
      ContentHash([1, 2, 3, 4, 5, 6, 7, 8])
    }
  }

  /// The longest audio that there is room for is taken, whatever its file tells within a second; one sample more is not.
  @Test(arguments: WhisperTowerTests.models) func theLongestAudioIsTaken(_ name: String) throws {
    let (encoder, tower) = (try Self.hearing(name), try WhisperTowerTests.open(name))
    let rows = tower.windowRowCount(sampleCount: tower.windowSampleCount) + 3
    let most = tower.sampleCount(rows: rows)
    var terms = MediaTerms()
    terms.rowLimit = rows
    let long = Double(most) / 16000
    for (seconds, count, expected) in [
      (long, most, nil), (long + 0.9, most, nil), (0, most, nil), (long + 1.1, most, Status.contextFull),
      (long, most + 1, .contextFull), (0.1, most + 1, .contextFull),
    ] {
      let found = Self.status {
        _ = try encoder.prepare(.audio(ToldAudio(seconds: seconds, count: count)), terms)
      }
      #expect(found == expected, "\(name): \(seconds) s told, \(count) samples of \(most)")
    }
    #expect(Self.status { _ = try encoder.prepare(try Self.held(most), terms) } == nil)
    #expect(Self.status { _ = try encoder.prepare(try Self.held(most + 1), terms) } == .contextFull)
  }

  /// Audio of just the seconds that a processor takes is taken, in a folder and on its way to a tower.
  @Test func theModelsLimitIsMetExactly() throws {
    let most = 60 * 16000
    let folder = try WhisperTowerFolder(Self.omni)
    let encoder = try WhisperTower(
      folder, residency: .memory, pool: ThreadPool(threadCount: 2), kernels: Kernels.selected())
    for (count, expected) in [(most, nil), (most + 1, Status.invalidArgument)] {
      #expect(Self.status { _ = try folder.tokenCount(sampleCount: count) } == expected)
      let audio = MediaItem.audio(ToldAudio(seconds: 60, count: count))
      #expect(Self.status { _ = try encoder.prepare(audio, MediaTerms()) } == expected)
    }
  }

  /// A tower that looks at the whole audio first asks meanwhile whether anybody waits.
  @Test func lookingAtTheWholeIsInterrupted() throws {
    let tower = try WhisperTowerTests.open("good-voxtral")
    let samples = SyntheticAudio.voice(40 * 16000, seed: 2)
    var rows = [Float](
      repeating: 0, count: try tower.tokenCount(sampleCount: samples.count) * tower.configuration.textHiddenSize)
    try rows.withUnsafeMutableBufferPointer { rows in
      let counter = Asked()
      _ = try tower.begin(samples, into: rows, counter.interruption())
      // 4,000 frames, about a thousand at a time.
      #expect(counter.count >= 4)
      for limit in stride(from: 1, through: counter.count, by: 1) {
        #expect(throws: Asked.failure) { _ = try tower.begin(samples, into: rows, Asked().interruption(at: limit)) }
      }
    }
  }

  // MARK: - What is known

  /// A video is worked on in what its largest chunk takes, though the last one is shorter.
  @Test func scratchIsThatOfTheLargestChunk() throws {
    let vision = try Self.vision()
    let scratch = try [1, 4, 5, 9].map { try vision.prepare(Self.video($0), MediaTerms()).scratchByteCount }
    #expect(scratch[0] < scratch[1] && scratch[1] == scratch[2] && scratch[2] == scratch[3])
  }

  /// Equal patches in another grid are another picture.
  @Test func hashesTellGrids() throws {
    let vision = try Self.vision()
    func grey(_ width: Int, _ height: Int) throws -> ContentHash {
      let image = try RGBImage(width: width, height: height, bytes: [UInt8](repeating: 90, count: width * height * 3))
      return try vision.prepare(.image(image), MediaTerms()).contentHash
    }
    #expect(try grey(32, 64) != grey(64, 32))
    #expect(try grey(32, 64) == grey(32, 64))
  }

  /// Samples that are refused are not heard in part.
  @Test func refusedSamplesAreNotAdded() throws {
    var audio = try HeldAudio(channelCount: 2, rate: 16000)
    try [Float](repeating: 0.5, count: 8).withUnsafeBufferPointer { try audio.append($0) }
    let before = try audio.contentHash(.never)
    for samples in [[0.1, 0.2, 0.3], [0.1, .nan], [Float.infinity, 0]] {
      #expect(Self.status { try samples.withUnsafeBufferPointer { try audio.append($0) } } == .invalidArgument)
      #expect(try audio.frameCount == 4 && audio.contentHash(.never) == before)
    }
  }

  // MARK: - What hosts hand over

  private static func expect<Value>(_ cases: [(Value, Status?)], _ body: (Value) throws -> Void) {
    for (value, expected) in cases { #expect(status { try body(value) } == expected, "\(value)") }
  }

  @Test func audioIsOfTheseRatesAndChannels() throws {
    Self.expect([(0, .invalidArgument), (1, nil), (32, nil), (33, .invalidArgument)]) {
      _ = try HeldAudio(channelCount: $0, rate: 16000)
    }
    Self.expect([(999, .invalidArgument), (1000, nil), (768_000, nil), (768_001, .invalidArgument)]) {
      _ = try HeldAudio(channelCount: 1, rate: $0)
    }
    var audio = try HeldAudio(channelCount: 2, rate: 8000)
    try [Float](repeating: 0.5, count: 12).withUnsafeBufferPointer { try audio.append($0) }
    #expect(audio.frameCount == 6 && audio.seconds == 6.0 / 8000)
    let kernels = try Kernels.selected()
    #expect(try audio.exactSampleCount(rate: 8000, kernels: kernels) == 6)
    #expect(try audio.exactSampleCount(rate: 16000, kernels: kernels) == 12)
  }

  @Test func picturesAreOfTheseSizes() throws {
    func bytes(_ count: Int) -> [UInt8] { [UInt8](repeating: 0, count: count) }
    Self.expect([(0, .invalidArgument), (1, nil), (65_535, nil), (65_536, .invalidArgument)]) { side in
      _ = try RGBImage(width: side, height: 1, bytes: bytes(3 * side))
      _ = try RGBImage(width: 1, height: side, bytes: bytes(3 * side))
    }
    Self.expect([(17, .invalidArgument), (18, nil), (19, .invalidArgument)]) {
      _ = try RGBImage(width: 3, height: 2, bytes: bytes($0))
    }
    Self.expect([((1 << 14, 1 << 14), nil), ((1 << 14, 1 << 14 + 1), .invalidArgument)]) {
      try RGBImage.checkSize(width: $0.0, height: $0.1)
    }
  }

  @Test func videosAreOfTheseTimes() throws {
    let frames = try (0..<3).map { try SyntheticImages.image(8, 6, seed: $0) }
    let other = try SyntheticImages.image(8, 5, seed: 1)
    Self.expect([
      (0, .invalidArgument), (-1, .invalidArgument), (.nan, .invalidArgument), (.infinity, .invalidArgument),
    ]) {
      _ = try HeldVideo(frames, framesPerSecond: $0)
    }
    #expect(Self.status { _ = try HeldVideo([], framesPerSecond: 1) } == .invalidArgument)
    #expect(Self.status { _ = try HeldVideo(frames + [other], framesPerSecond: 1) } == .invalidArgument)
    Self.expect([
      ([0, 1, 2], nil), ([0.5, 1, 9], nil), ([0, 1], .invalidArgument), ([0, 1, 2, 3], .invalidArgument),
      ([-0.1, 1, 2], .invalidArgument), ([0, 1, 1], .invalidArgument), ([0, 2, 1], .invalidArgument),
      ([0, 1, .infinity], .invalidArgument),
    ]) { _ = try HeldVideo(frames, timestamps: $0) }
    #expect(try HeldVideo([frames[0]], timestamps: [3]).framesPerSecond == 1)
    let video = try HeldVideo(frames, framesPerSecond: 4)
    #expect((video.frameCount, video.width, video.height) == (3, 8, 6))
    func bytes(_ image: RGBImage) throws -> [UInt8] {
      try image.withBytes { Array(UnsafeBufferPointer(start: $0, count: image.byteCount)) }
    }
    #expect(try video.frames([0, 2, 2], .never).map(bytes) == [0, 2, 2].map { try bytes(frames[$0]) })
    Self.expect([([3], .invalidArgument), ([-1], .invalidArgument)]) { _ = try video.frames($0, .never) }
  }

  @Test func plansAreOfTheseVideos() throws {
    let configuration = try VideoProcessorConfiguration.load(folder: "/nowhere")
    func plan(_ count: Int, _ rate: Double = 2, _ timestamps: [Double]? = nil) throws -> VideoPlan {
      try VideoPlan(
        configuration, frameCount: count, framesPerSecond: rate, width: 28, height: 28, timestamps: timestamps)
    }
    Self.expect([(0, .invalidArgument), (1, nil), (1 << 16, nil), (1 << 16 + 1, .invalidArgument)]) { _ = try plan($0) }
    // So many of which two a second are seen: one in thousands.
    Self.expect([(1 << 24, nil), (1 << 24 + 1, .invalidArgument)]) { _ = try plan($0, 10_000) }
    Self.expect([
      (1e-3, nil), (1e4, nil), (0.9e-3, .invalidArgument), (1.1e4, .invalidArgument), (.nan, .invalidArgument),
    ]) {
      _ = try plan(3, $0)
    }
    Self.expect([
      ([0, 315_360_000], nil), ([0, 315_360_001], .invalidArgument), ([-1, 0], .invalidArgument),
      ([0, .nan], .invalidArgument), ([0], .invalidArgument), ([0, 1, 2], .invalidArgument),
    ]) { _ = try plan(2, 2, $0) }
    // Each frame of what is seen is in one chunk, in order.
    for count in [1, 3, 4, 5, 8, 9] {
      let chunks = try plan(count).chunks
      #expect(chunks.flatMap(\.frames) == Array(0..<count))
      #expect(
        chunks.dropLast().allSatisfy { $0.frames.count == 4 } && chunks.map(\.grid.frames) == chunks.map(\.frames.count)
      )
    }
  }
}
