import DormouseAudio
import DormouseEngine
import DormouseKernels
import DormouseMedia
import DormouseSupport
import Glibc
import Testing

/// Whatever is made of a chat's media can ask at any time whether the call is still wanted.
@Suite struct WatchedMediaTests {
  /// What a medium is asked for.
  enum Place: String, CaseIterable { case limits, hash, content }

  enum Ending: CaseIterable { case cancel, time }

  /// Ends the call when a medium comes to one of the places, and keeps what it is then told.
  private final class Watch: Sendable {
    private let place: Place
    private let end: @Sendable () -> Void
    let seen = Locked<[Status?]>([])

    init(at place: Place, _ end: @escaping @Sendable () -> Void) {
      self.place = place
      self.end = end
    }

    func pass(_ place: Place, _ interruption: Interruption) throws(Failure) {
      guard place == self.place else { return }
      seen.withLock { $0.append(interruption.failure?.status) }
      end()
      seen.withLock { $0.append(interruption.failure?.status) }
      try interruption.check()
    }
  }

  private struct WatchedVideo: Video {
    let held: HeldVideo
    let watch: Watch

    var frameCount: Int { held.frameCount }
    var framesPerSecond: Double { held.framesPerSecond }
    var timestamps: [Double]? { held.timestamps }
    var width: Int { held.width }
    var height: Int { held.height }

    func frames(_ numbers: [Int], _ interruption: Interruption) throws(Failure) -> [RGBImage] {
      try watch.pass(.content, interruption)
      return try held.frames(numbers, interruption)
    }

    func contentHash(_ interruption: Interruption) throws(Failure) -> ContentHash {
      try watch.pass(.hash, interruption)
      return try held.contentHash(interruption)
    }

    func limited(by limits: MediaFileOptions, _ interruption: Interruption) throws(Failure) -> any Video {
      try watch.pass(.limits, interruption)
      return self
    }
  }

  private struct WatchedAudio: Audio {
    let held: HeldAudio
    let watch: Watch

    var seconds: Double { held.seconds }

    func exactSampleCount(rate: Int, kernels: Kernels) throws(Failure) -> Int? {
      try held.exactSampleCount(rate: rate, kernels: kernels)
    }

    func samples(rate: Int, kernels: Kernels, limit: Int?, _ terms: MediaTerms) throws(Failure) -> AudioSamples {
      try watch.pass(.content, terms.interruption)
      return try held.samples(rate: rate, kernels: kernels, limit: limit, terms)
    }

    func contentHash(_ interruption: Interruption) throws(Failure) -> ContentHash {
      try watch.pass(.hash, interruption)
      return try held.contentHash(interruption)
    }

    func limited(by limits: MediaFileOptions, _ interruption: Interruption) throws(Failure) -> any Audio {
      try watch.pass(.limits, interruption)
      return self
    }
  }

  private static func expectWatched(
    _ engine: Engine, _ place: Place, _ ending: Ending, _ type: String, _ item: (Watch) throws -> MediaItem
  ) throws {
    let session = try Session(engine: engine, options: SessionOptions())
    let watch = Watch(at: place) {
      switch ending {
      case .cancel: session.cancel()
      case .time: usleep(320_000)
      }
    }
    let messages: JSON = [["role": "user", "content": [["type": .string(type), type: ["url": "attachment:0"]]]]]
    let item = try item(watch)
    let limit = ending == .time ? #", "time_limit": 0.3"# : ""
    let found = Runs.status {
      _ = try session.chat(
        messages: messages.text(), attachments: [item], configuration: #"{"max_tokens": 1\#(limit)}"#
      ) { _ in 0 }
    }
    let status = ending == .cancel ? Status.cancelled : .timedOut
    #expect(found == status, "\(type), \(place), \(ending)")
    #expect(watch.seen.withLock { $0 } == [nil, status], "\(type), \(place), \(ending)")
    #expect(try session.length() == 0 || place == .content)
  }

  private static func engine(_ folder: String, speech: String? = nil) throws -> Engine {
    try MediaChats.engine(folder) {
      $0.media.speechModel = speech
      // Else nobody asks for limits.
      ($0.media.file.frameLimit, $0.media.file.secondLimit) = (1000, 1000)
      // Each call has its own medium, not what an earlier one has made ready.
      $0.media.cacheByteLimit = 0
    }
  }

  private static func audio(_ watch: Watch) throws -> MediaItem {
    var held = try HeldAudio(channelCount: 1, rate: 16000)
    try SyntheticAudio.voice(20_000, seed: 1).withUnsafeBufferPointer { try held.append($0) }
    return .audio(WatchedAudio(held: held, watch: watch))
  }

  @Test func videosAreWatched() throws {
    let engine = try Self.engine(MediaChatTests.folder)
    let frames = try (0..<6).map { try SyntheticImages.image(40, 27, seed: $0) }
    for place in Place.allCases {
      for ending in Ending.allCases {
        try Self.expectWatched(engine, place, ending, "video_url") { watch in
          .video(WatchedVideo(held: try HeldVideo(frames, framesPerSecond: 2), watch: watch), framesPerSecond: nil)
        }
      }
    }
  }

  /// A tower asks for no hash: it makes one of the samples.
  @Test func audioOfATowerIsWatched() throws {
    let engine = try Self.engine(OmniChatTests.folder)
    for place in [Place.limits, .content] {
      for ending in Ending.allCases { try Self.expectWatched(engine, place, ending, "input_audio", Self.audio) }
    }
  }

  @Test func audioOfASpeechModelIsWatched() throws {
    let engine = try Self.engine(
      Fixtures.shippedModel, speech: Fixtures.path("Fixtures/whisper/good-multilingual"))
    for place in Place.allCases {
      for ending in Ending.allCases { try Self.expectWatched(engine, place, ending, "input_audio", Self.audio) }
    }
  }
}
