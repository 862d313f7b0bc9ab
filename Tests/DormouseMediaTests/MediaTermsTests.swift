import DormouseAudio
import DormouseKernels
import DormouseSupport
import Testing

@testable import DormouseMedia

/// What may stop media from becoming ready: somebody who no longer waits, a budget, limits, and room for rows.
@Suite struct MediaTermsTests {
  private static func audio(_ count: Int, rate: Int) throws -> HeldAudio {
    var audio = try HeldAudio(channelCount: 1, rate: rate)
    try SyntheticAudio.voice(count, seed: 3).withUnsafeBufferPointer { try audio.append($0) }
    return audio
  }

  private static func failure(_ body: () throws -> Void) -> Failure? { #expect(throws: Failure.self, performing: body) }

  /// Pieces are small enough to look up often, whatever the rates are.
  @Test(arguments: [1000, 8000, 44101, 192_000]) func resamplingIsInterrupted(_ rate: Int) throws {
    let kernels = try Kernels.selected()
    let audio = try Self.audio(100_000, rate: rate)
    let whole = try audio.samples(rate: 16000, kernels: kernels, limit: nil, MediaTerms()).values
    #expect(whole.count == (try audio.exactSampleCount(rate: 16000, kernels: kernels)))
    let counter = Asked()
    var terms = MediaTerms()
    terms.interruption = counter.interruption()
    #expect(try audio.samples(rate: 16000, kernels: kernels, limit: nil, terms).values == whole)
    #expect(counter.count >= max(100_000 / 4096, whole.count >> 16))
    for limit in [1, counter.count / 2, counter.count] {
      let asked = Asked()
      terms.interruption = asked.interruption(at: limit)
      #expect(throws: Asked.failure) { _ = try audio.samples(rate: 16000, kernels: kernels, limit: nil, terms) }
      #expect(asked.count == limit)
    }
  }

  @Test func samplesCountInTheBudget() throws {
    let kernels = try Kernels.selected()
    let audio = try Self.audio(48000, rate: 48000)
    let budget = MemoryBudget(limit: 64000, name: "memory_limit")
    var terms = MediaTerms()
    terms.budget = budget
    var samples: AudioSamples? = try audio.samples(rate: 16000, kernels: kernels, limit: nil, terms)
    #expect(samples?.values.count == 16000 && budget.usedByteCount == 64000)
    samples = nil
    #expect(budget.usedByteCount == 0)
    terms.budget = MemoryBudget(limit: 63999, name: "memory_limit")
    let failure = Self.failure { _ = try audio.samples(rate: 16000, kernels: kernels, limit: nil, terms) }
    #expect(failure?.status == .outOfMemory && failure?.message.hasPrefix("the samples of audio: ") == true)
    // What the host holds already is not taken again.
    #expect(try audio.samples(rate: 48000, kernels: kernels, limit: nil, terms).values.count == 48000)
  }

  /// Samples that come in pieces of unknown number: while they move to a larger place, both count.
  @Test func growingSamplesCountInTheBudget() throws {
    let budget = MemoryBudget(limit: nil, name: "memory_limit")
    var samples = try AudioSamples(expecting: 10, budget: budget)
    let piece = [Float](repeating: 1, count: 70_000)
    try piece.withUnsafeBufferPointer { piece in for _ in 0..<3 { try samples.append(piece) } }
    #expect(samples.values.count == 210_000)
    #expect(budget.usedByteCount >= 840_000 && budget.usedByteCount < 1_300_000)
    #expect(budget.peakByteCount > budget.usedByteCount)
    withExtendedLifetime(samples) {}
  }

  @Test func hashesAreInterrupted() throws {
    var audio = try HeldAudio(channelCount: 1, rate: 16000)
    try [Float](repeating: 0.25, count: 3 << 20).withUnsafeBufferPointer { try audio.append($0) }
    let asked = Asked()
    #expect(throws: Asked.failure) { _ = try audio.contentHash(asked.interruption(at: 3)) }
    let video = try HeldVideo((0..<4).map { try SyntheticImages.image(9, 7, seed: $0) }, framesPerSecond: 1)
    #expect(throws: Asked.failure) { _ = try video.contentHash(Asked().interruption(at: 4)) }
  }

  /// A stripe of a large image at a time.
  @Test func scalingIsInterrupted() throws {
    let (width, height) = (6000, 3000)
    let image = try RGBImage(
      width: width, height: height, bytes: [UInt8](repeating: 90, count: width * height * 3))
    let resampler = ImageResampler(
      source: (width, height), result: (60, 30), filter: .bicubic, arithmetic: .pillow)
    let pool = try ThreadPool(threadCount: 2)
    func scale(_ interruption: Interruption) throws -> [UInt8] {
      var result = [UInt8](repeating: 0, count: 60 * 30 * 3)
      try result.withUnsafeMutableBufferPointer { result in
        let target = try #require(result.baseAddress)
        try image.withBytes { (bytes) throws(Failure) in
          try resampler.run(bytes, into: target, pool: pool, interruption)
        }
      }
      return result
    }
    let counter = Asked()
    #expect(try scale(counter.interruption()).allSatisfy { $0 == 90 })
    #expect(counter.count > 4)
    for limit in 1...counter.count {
      #expect(throws: Asked.failure) { _ = try scale(Asked().interruption(at: limit)) }
    }
  }

  // MARK: - Limits of what is held

  @Test func heldMediaKeepToLimits() throws {
    let image = MediaItem.image(try SyntheticImages.image(20, 10, seed: 1))
    let frames = try (0..<8).map { try SyntheticImages.image(20, 10, seed: $0) }
    let video = MediaItem.video(try HeldVideo(frames, framesPerSecond: 2), framesPerSecond: nil)
    let timed = MediaItem.video(
      try HeldVideo(frames, timestamps: [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 3.5]), framesPerSecond: nil)
    let audio = MediaItem.audio(try Self.audio(8000, rate: 4000))
    func limits(_ change: (inout MediaFileOptions) -> Void) -> MediaFileOptions {
      var limits = MediaFileOptions()
      change(&limits)
      return limits
    }
    for (item, limits, name) in [
      (image, limits { $0.pixelLimit = 199 }, "max_pixels, 199"),
      (video, limits { $0.pixelLimit = 199 }, "max_pixels"),
      (image, limits { $0.outputLimit = 599 }, "max_output_bytes, 599"),
      (video, limits { $0.frameLimit = 7 }, "max_frames, 7"),
      (video, limits { $0.secondLimit = 3.4 }, "max_seconds, 3.4"),
      (timed, limits { $0.secondLimit = 3.4 }, "max_seconds, 3.4"),
      (audio, limits { $0.secondLimit = 1.9 }, "max_seconds, 1.9"),
    ] {
      let failure = Self.failure { _ = try item.limited(by: limits) }
      #expect(failure?.status == .unsupported && failure?.message.contains(name) == true, "\(name)")
    }
    let fitting = limits {
      $0.pixelLimit = 200
      $0.outputLimit = 600
      $0.frameLimit = 8
      $0.secondLimit = 3.5
    }
    for item in [image, video, timed, audio] { _ = try item.limited(by: fitting) }
  }

  @Test func limitsTightenOneAnother() {
    var (a, b) = (MediaFileOptions(), MediaFileOptions())
    #expect(!a.isLimited)
    (a.pixelLimit, a.secondLimit) = (10, 3)
    (b.pixelLimit, b.secondLimit, b.byteLimit) = (20, 2, 5)
    let both = a.tightened(by: b)
    #expect(both.isLimited && (both.pixelLimit, both.secondLimit, both.byteLimit) == (10, 2, 5))
  }

  /// Each of them by itself: the smaller of two, or the only one.
  @Test func everyLimitTightens() {
    func check<Limit: Equatable>(_ limit: WritableKeyPath<MediaFileOptions, Limit>, _ none: Limit, _ values: [Limit]) {
      for (a, b, expected) in [
        (values[0], values[1], values[0]), (values[1], values[0], values[0]), (none, values[1], values[1]),
        (values[1], none, values[1]), (none, none, none),
      ] {
        var (first, second) = (MediaFileOptions(), MediaFileOptions())
        first[keyPath: limit] = a
        second[keyPath: limit] = b
        let both = first.tightened(by: second)
        #expect(both[keyPath: limit] == expected && both.isLimited == (expected != none), "\(limit)")
      }
    }
    for limit in [\MediaFileOptions.byteLimit, \.pixelLimit, \.frameLimit, \.outputLimit] { check(limit, 0, [5, 8]) }
    for limit in [\MediaFileOptions.secondLimit, \.timeLimit] { check(limit, 0, [0.5, 8]) }
  }

  // MARK: - What is held

  /// Equal bytes in another shape, or at another rate, are another content.
  @Test func hashesTellShapesAndRates() throws {
    let bytes = (0..<24).map { UInt8($0) }
    func video(_ width: Int, _ height: Int, _ times: [Double]?) throws -> ContentHash {
      let image = try RGBImage(width: width, height: height, bytes: bytes)
      let video = try times.map { try HeldVideo([image, image], timestamps: $0) }
      return try (try video ?? HeldVideo([image, image], framesPerSecond: 2)).contentHash(.never)
    }
    let videos = try [video(4, 2, nil), video(2, 4, nil), video(8, 1, nil), video(4, 2, [0, 1]), video(4, 2, [0, 2])]
    let audio = try [8000, 16000].map { try Self.audio(100, rate: $0).contentHash(.never) }
    #expect(Set(videos).count == videos.count && Set(audio).count == audio.count)
    #expect(try video(4, 2, nil) == videos[0])
  }

  /// Frames a second of a video that tells its times: as many steps as there are from the first frame to the last.
  @Test func timesTellTheRate() throws {
    let frames = try (0..<5).map { try SyntheticImages.image(4, 2, seed: $0) }
    #expect(try HeldVideo(frames, timestamps: [1, 1.5, 2, 2.5, 3]).framesPerSecond == 2)
  }

  // MARK: - Room for rows

  /// The longest audio for some rows, by the towers' own count.
  @Test(arguments: WhisperTowerTests.models) func longestSounds(_ name: String) throws {
    let tower = try WhisperTowerTests.open(name)
    let window = tower.windowRowCount(sampleCount: tower.windowSampleCount)
    for rows in Array(window - 1...window + 2) + [3 * window, 3 * window + 5] {
      let count = tower.sampleCount(rows: rows)
      #expect(try count == 0 || tower.tokenCount(sampleCount: count) <= rows)
      #expect(try tower.tokenCount(sampleCount: count + 1) > rows, "\(name): \(rows)")
    }
  }
}
