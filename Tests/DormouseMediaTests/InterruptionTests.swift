import DormouseAudio
import DormouseKernels
import DormouseSupport
import DormouseWeights
import Testing

@testable import DormouseMedia

/// How often work on media asks whether it is still wanted: by count, since a loop that no longer asks is not seen
/// otherwise.
@Suite struct InterruptionTests {
  /// Runs `body` once to its end and counts, then once more for each time it asks, stopped there.
  private static func expectAsked(_ count: Int, _ what: String, _ body: (Interruption) throws -> Void) throws {
    let counter = Asked()
    try body(counter.interruption())
    #expect(counter.count == count, "\(what)")
    for limit in 1...max(counter.count, 1) {
      let asked = Asked()
      #expect(throws: Asked.failure, "\(what), \(limit)") { try body(asked.interruption(at: limit)) }
      #expect(asked.count == limit, "\(what)")
    }
  }

  // MARK: - Towers

  /// Once for the embedding; in a layer before attention, for every few tasks of it, behind it, and for each block of the
  /// network's rows; and for each block of the projector's tokens.
  @Test func visionTowers() throws {
    let (small, long) = (PatchGrid(height: 4, width: 4), PatchGrid(height: 26, width: 40))
    for (name, layers, heads) in [("kimi_k25-tiny", 3, 3), ("dots3_note-tiny", 4, 3)] {
      for (threads, grids) in [(1, [small]), (2, [small, small]), (1, [long]), (2, [long]), (2, [small, long])] {
        let tower = try Tower.open(name, threads: threads)
        let patches = try Tower.patches(grids, tower.configuration)
        let counts = grids.map { $0.height * $0.width }
        func quotient(_ count: Int, _ size: Int) -> Int { (count + size - 1) / size }
        // Blocks of 512 queries, eight tasks a thread.
        let attention = counts.reduce(0) { $0 + quotient(heads * quotient($1, 512), 8 * threads) }
        let network = quotient(counts.reduce(0, +), 1024)
        let projector = counts.reduce(0) { $0 + quotient($1 / 4, 256) }
        let expected = 1 + layers * (1 + attention + 1 + network) + projector
        try Self.expectAsked(expected, "\(name), \(counts) on \(threads)") {
          _ = try Tower.encode(tower, patches, grids, $0)
        }
      }
    }
  }

  /// Before each step of each window, and before what comes behind the last.
  @Test func audioTowers() throws {
    for name in WhisperTowerTests.models {
      let tower = try WhisperTowerTests.open(name)
      for (samples, windows) in [(20_000, 1), (32_000, 1), (64_000, 2), (64_001, 3)] {
        try Self.expectAsked(windows * (2 + 1), "\(name), \(samples)") {
          _ = try WhisperTowerTests.rows(tower, SyntheticAudio.voice(samples, seed: 1), $0)
        }
      }
    }
    let tower = try DotsTowerTests.audio("dots3_note-tiny")
    // A block of the stem, and two layers.
    for (samples, windows) in [(16_000, 1), (20_000, 2)] {
      let count = try tower.tokenCount(sampleCount: samples) * tower.configuration.textHiddenSize
      var rows = [Float](repeating: .nan, count: count)
      try rows.withUnsafeMutableBufferPointer { rows in
        try Self.expectAsked(windows * (1 + 2 + 1), "dots3_note, \(samples)") {
          try tower.encode(SyntheticAudio.voice(samples, seed: 1), into: rows, $0)
        }
      }
    }
  }

  // MARK: - What becomes ready

  private static func encoder(_ name: String) throws -> any MediaEncoder {
    let path = Fixtures.path("models-media/\(name)")
    let folder = try #require(try MediaFolder(path, checkpoint: Checkpoint(folder: path)))
    return try folder.load(residency: .memory, pool: ThreadPool(threadCount: 2), kernels: Kernels.selected())
  }

  private static func video(_ count: Int, _ width: Int, _ height: Int) throws -> MediaItem {
    let frames = try (0..<count).map { try SyntheticImages.image(width, height, seed: $0) }
    return .video(try HeldVideo(frames, framesPerSecond: 2), framesPerSecond: nil)
  }

  /// An image is scaled along both axes, which are one stripe each; a video is hashed frame by frame, and nothing of it
  /// is scaled before a tower wants it. Through one tower, and through one of several.
  @Test(arguments: ["dots3_note-tiny", "kimi_k25-omni", "kimi_k25-tiny"]) func picturesAskWhileTheyBecomeReady(
    _ name: String
  ) throws {
    let encoder = try Self.encoder(name)
    let image = MediaItem.image(try SyntheticImages.image(205, 149, seed: 1))
    try Self.expectAsked(2, "\(name), an image") { interruption in
      var terms = MediaTerms()
      terms.interruption = interruption
      _ = try encoder.prepare(image, terms)
    }
    let video = try Self.video(6, 205, 149)
    try Self.expectAsked(6, "\(name), a video") { interruption in
      var terms = MediaTerms()
      terms.interruption = interruption
      _ = try encoder.prepare(video, terms)
    }
  }

  /// Each frame of a chunk is scaled along both axes when its portion becomes ready.
  @Test(arguments: [("dots3_note-tiny", [2, 2, 2, 2, 2, 2]), ("kimi_k25-omni", [8, 4])])
  func portionsAskWhileTheyBecomeReady(_ name: String, _ expected: [Int]) throws {
    let encoder = try Self.encoder(name)
    let prepared = try encoder.prepare(try Self.video(6, 205, 149), MediaTerms())
    var rows = [Float](repeating: 0, count: prepared.rowCount * 32)
    try rows.withUnsafeMutableBufferPointer { rows in
      let counter = Asked()
      var run = try encoder.begin(prepared, into: rows, counter.interruption())
      var counts: [Int] = []
      while try run.prepareNext() {
        counts.append(counter.count - counts.reduce(0, +))
        while try !run.advance() {}
      }
      #expect(counts == expected)
      var stopped = try encoder.begin(prepared, into: rows, Asked().interruption(at: 1))
      #expect(throws: Asked.failure) { _ = try stopped.prepareNext() }
    }
  }

  /// Audio is heard as a whole before it is cut where its features are those of the whole: a thousand frames at a time.
  @Test func wholeAudioAsksThroughItsEncoder() throws {
    let encoder = try Self.encoder("good-voxtral")
    var held = try HeldAudio(channelCount: 1, rate: 16000)
    try SyntheticAudio.voice(40 * 16000, seed: 2).withUnsafeBufferPointer { try held.append($0) }
    let prepared = try encoder.prepare(.audio(held), MediaTerms())
    var rows = [Float](repeating: 0, count: prepared.rowCount * 36)
    try rows.withUnsafeMutableBufferPointer { rows in
      let counter = Asked()
      _ = try encoder.begin(prepared, into: rows, counter.interruption())
      #expect(counter.count >= 4)
      #expect(throws: Asked.failure) { _ = try encoder.begin(prepared, into: rows, Asked().interruption(at: 2)) }
    }
  }

  /// Audio at another rate is resampled under the terms of its tower.
  @Test func otherRatesAskThroughTheirEncoder() throws {
    for name in ["good-audioflamingo3", "kimi_k25-omni", "dots3_note-tiny"] {
      let encoder = try Self.encoder(name)
      var held = try HeldAudio(channelCount: 1, rate: 44100)
      try SyntheticAudio.voice(40_000, seed: 2).withUnsafeBufferPointer { try held.append($0) }
      var terms = MediaTerms()
      let counter = Asked()
      terms.interruption = counter.interruption()
      _ = try encoder.prepare(.audio(held), terms)
      #expect(counter.count >= 40_000 / 4096, "\(name)")
      terms.interruption = Asked().interruption(at: 5)
      #expect(throws: Asked.failure) { _ = try encoder.prepare(.audio(held), terms) }
    }
  }

  // MARK: - Files

  /// 16-bit silence of one channel.
  private static func wav(_ count: Int) -> [UInt8] {
    func number(_ value: Int, _ count: Int) -> [UInt8] {
      (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }
    let format = number(1, 2) + number(1, 2) + number(16000, 4) + number(32000, 4) + number(2, 2) + number(16, 2)
    return Array("RIFF".utf8) + number(36 + 2 * count, 4) + Array("WAVEfmt ".utf8) + number(16, 4) + format
      + Array("data".utf8) + number(2 * count, 4) + [UInt8](repeating: 0, count: 2 * count)
  }

  /// A file is hashed a megabyte at a time, wherever it lies, and has one hash.
  @Test func filesAskWhileTheyAreHashed() throws {
    let bytes = Self.wav(1_200_000)
    let folder = try TemporaryFolder()
    try folder.write("sound.wav", bytes)
    let buffer = try AlignedBuffer(byteCount: bytes.count, for: "a test")
    buffer.bytes.copyBytes(from: bytes)
    let path = try #require(File.canonicalPath(folder.path))
    let sources = [MediaSource.bytes(buffer), .file(try MediaRoots([path]).open(path + "/sound.wav"))]
    var hashes: Set<ContentHash> = []
    for source in sources {
      guard case .audio(let audio) = try MediaItem(source, as: .audio, name: "sound") else {
        throw Failure(.internalError, "no audio")
      }
      #expect(audio.seconds == 75)
      hashes.insert(try audio.contentHash(.never))
      try Self.expectAsked(3, "a file") { _ = try audio.contentHash($0) }
      var terms = MediaTerms()
      terms.interruption = Interruption { Asked.failure }
      #expect(throws: Asked.failure) {
        _ = try audio.samples(rate: 16000, kernels: Kernels.selected(), limit: nil, terms)
      }
    }
    #expect(hashes.count == 1)
  }

  /// Frames of an open file are decoded for whoever asks now, not for who has opened it.
  @Test func openVideosAskTheirCaller() throws {
    let buffer = try AlignedBuffer(byteCount: MediaLibraryTests.gif.count, for: "a test")
    buffer.bytes.copyBytes(from: MediaLibraryTests.gif)
    let opener = Asked()
    let item = try MediaItem(
      .bytes(buffer), as: .video, name: "film", framesPerSecond: 3, opener.interruption())
    guard case .video(let video, let rate) = item else { throw Failure(.internalError, "no video") }
    #expect(rate == 3 && video.frameCount == 3 && (video.width, video.height) == (1, 1))
    let (before, caller) = (opener.count, Asked())
    #expect(try video.frames([0, 2], caller.interruption()).count == 2)
    #expect(before > 0 && caller.count > 0 && opener.count == before)
    #expect(throws: Asked.failure) { _ = try video.frames([0, 2], Interruption { Asked.failure }) }
  }
}
