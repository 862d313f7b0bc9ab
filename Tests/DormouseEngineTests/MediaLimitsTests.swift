import DormouseAudio
import DormouseEngine
import DormouseKernels
import DormouseMedia
import DormouseSupport
import Glibc
import Testing

/// What a chat's media may cost: too long ones are refused before they are decoded, limits hold wherever they come from, and
/// sentences say which of them it was.
@Suite struct MediaLimitsTests {
  private static let folder = OmniChatTests.folder

  /// Audio that tells one length, and has another.
  private struct MadeAudio: Audio {
    let seconds: Double
    let count: Int
    /// What was asked for.
    let limits = Locked<[Int?]>([])
    /// Microseconds that it takes to decode.
    var pause: UInt32 = 0

    func exactSampleCount(rate: Int, kernels: Kernels) throws(Failure) -> Int? { nil }

    func samples(
      rate: Int, kernels: Kernels, limit: Int?, _ terms: MediaTerms
    ) throws(Failure) -> AudioSamples {
      limits.withLock { $0.append(limit) }
      usleep(pause)
      return AudioSamples([Float](repeating: 0.1, count: min(count, limit.map { $0 + 1 } ?? count)))
    }

    func contentHash(_ interruption: Interruption) throws(Failure) -> ContentHash {
      ContentHash([UInt8](repeating: 7, count: 8))
    }
  }

  private static func engine(_ change: (inout EngineOptions) -> Void = { _ in }) throws -> Engine {
    try MediaChats.engine(folder, change)
  }

  private static func session(_ engine: Engine, contextLength: Int = 64) throws -> Session {
    var options = SessionOptions()
    options.contextLength = contextLength
    return try Session(engine: engine, options: options)
  }

  private static func messages(_ parts: [JSON]) -> String {
    JSON.array([["role": "user", "content": .array(parts)]]).text()
  }

  private static func audio(_ count: Int) -> String {
    messages((0..<count).map { ["type": "input_audio", "input_audio": ["url": .string("attachment:\($0)")]] })
  }

  private static func failure(_ body: () throws -> Void) -> Failure? { #expect(throws: Failure.self, performing: body) }

  private static func held(_ count: Int, rate: Int = 16000) throws -> MediaItem {
    var audio = try HeldAudio(channelCount: 1, rate: rate)
    try [Float](repeating: 0.25, count: count).withUnsafeBufferPointer { try audio.append($0) }
    return .audio(audio)
  }

  /// 16-bit samples of one channel.
  private static func wav(_ count: Int, rate: Int = 16000) -> [UInt8] {
    func number(_ value: Int, _ count: Int) -> [UInt8] {
      (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }
    let data = SyntheticAudio.voice(count, seed: 2).flatMap { number(Int($0 * 32000), 2) }
    let format = number(1, 2) + number(1, 2) + number(rate, 4) + number(2 * rate, 4) + number(2, 2) + number(16, 2)
    return Array("RIFF".utf8) + number(36 + data.count, 4) + Array("WAVEfmt ".utf8) + number(16, 4) + format
      + Array("data".utf8) + number(data.count, 4) + data
  }

  private static func base64(_ bytes: [UInt8], lineLength: Int = .max) -> String {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    var text: [UInt8] = []
    for start in stride(from: 0, to: bytes.count - bytes.count % 3, by: 3) {
      let bits = Int(bytes[start]) << 16 | Int(bytes[start + 1]) << 8 | Int(bytes[start + 2])
      text += [18, 12, 6, 0].map { alphabet[bits >> $0 & 63] }
      if text.count % lineLength == 0 { text += Array("\r\n".utf8) }
    }
    return String(decoding: text, as: UTF8.self)
  }

  // MARK: - Length

  @Test func longSoundsAreNotDecoded() throws {
    let engine = try Self.engine()
    let place = "messages_json: message 0, part 0: "
    for (seconds, status, sentence) in [
      (50.0, Status.contextFull, "audio of 50.0 s; the session's context has room for 64 tokens, "),
      (700, .invalidArgument, "audio of 700.0 s; the model takes 60 s at most"),
    ] {
      let long = MadeAudio(seconds: seconds, count: Int(seconds) * 16000)
      let failure = Self.failure {
        _ = try Self.session(engine).chat(
          messages: Self.audio(1), attachments: [.audio(long)], configuration: nil
        ) { _ in 0 }
      }
      #expect(failure?.status == status)
      #expect(failure?.message.hasPrefix(place + sentence) == true, "\(String(describing: failure))")
      #expect(long.limits.withLock { $0.isEmpty })
    }
    // Without a session there is no context.
    let long = MadeAudio(seconds: 700, count: 700 * 16000)
    let failure = Self.failure { _ = try engine.tokenize(messages: Self.audio(1), attachments: [.audio(long)]) }
    #expect(failure?.status == .invalidArgument && long.limits.withLock { $0.isEmpty })
  }

  /// A file that tells less than it has is decoded up to where it is too long.
  @Test func decodingEndsAtTheLimit() throws {
    let engine = try Self.engine()
    let lying = MadeAudio(seconds: 0.5, count: 600 * 16000)
    let failure = Self.failure {
      _ = try Self.session(engine).chat(
        messages: Self.audio(1), attachments: [.audio(lying)], configuration: nil
      ) { _ in 0 }
    }
    #expect(failure?.status == .contextFull && failure?.message.contains("audio of more than ") == true)
    let limits = lying.limits.withLock { $0.compactMap { $0 } }
    #expect(limits.count == 1 && limits.allSatisfy { (1..<60 * 16000).contains($0) })
    let tooLong = Self.failure { _ = try engine.tokenize(messages: Self.audio(1), attachments: [.audio(lying)]) }
    #expect(tooLong?.message.contains("audio of more than 60.0 s; the model takes 60 s at most") == true)
  }

  /// A file that is longer than the limit is not taken for one that ends there, wherever pieces of it end.
  @Test func longFilesPassTheLimit() throws {
    let bytes = Self.wav(12_000)
    let buffer = try AlignedBuffer(byteCount: bytes.count, for: "a test")
    buffer.bytes.copyBytes(from: bytes)
    let item = try MediaItem(.bytes(buffer), as: .audio, name: "sound.wav")
    guard case .audio(let audio) = item else { throw Failure(.internalError, "no audio") }
    let kernels = try Kernels.selected()
    func count(_ limit: Int?) throws -> Int {
      try audio.samples(rate: 16000, kernels: kernels, limit: limit, MediaTerms()).values.count
    }
    #expect(try count(nil) == 12_000 && count(12_000) == 12_000 && count(20_000) == 12_000)
    for limit in [1, 11_999] + Array(stride(from: 256, to: 12_000, by: 256)) { #expect(try count(limit) > limit) }
  }

  /// Samples that are held are counted before they are brought to another rate: no memory is taken for them.
  @Test func heldSoundsAreCountedFirst() throws {
    let engine = try Self.engine()
    let session = try Self.session(engine)
    let before = engine.memoryBudgetPeak
    for rate in [1000, 16000, 44101] {
      let failure = Self.failure {
        _ = try session.chat(
          messages: Self.audio(1), attachments: [try Self.held(50 * rate, rate: rate)], configuration: nil
        ) { _ in 0 }
      }
      #expect(failure?.status == .contextFull && failure?.message.contains("audio of 50.0 s; ") == true)
    }
    #expect(engine.memoryBudgetPeak == before)
    #expect(try session.length() == 0)
  }

  /// Each part has the room that those before it leave.
  @Test func partsShareTheContext() throws {
    let engine = try Self.engine()
    let count = 16000
    let alone = try engine.tokenize(messages: Self.audio(1), attachments: [try Self.held(count)]).count
    let second = MadeAudio(seconds: 3, count: count)
    let failure = Self.failure {
      _ = try Self.session(engine, contextLength: alone).chat(
        messages: Self.audio(2), attachments: [try Self.held(count), .audio(second)], configuration: nil
      ) { _ in 0 }
    }
    #expect(failure?.status == .contextFull)
    #expect(failure?.message.hasPrefix("messages_json: message 0, part 1: ") == true, "\(String(describing: failure))")
    #expect(second.limits.withLock { $0.isEmpty })
  }

  @Test func timeLimitsHoldWhileMediaBecomeReady() throws {
    let session = try Self.session(try Self.engine(), contextLength: 1024)
    let failure = Self.failure {
      _ = try session.chat(
        messages: Self.audio(1), attachments: [try Self.held(2 * 44101, rate: 44101)],
        configuration: #"{"time_limit": 0.000001}"#
      ) { _ in 0 }
    }
    #expect(failure == Failure(.timedOut, "time_limit of 1e-06 s passed before the work was done"))
    #expect(try session.length() == 0)
  }

  /// What it takes to make media ready counts against the answer's time, too.
  @Test func timeForMediaIsTimeOfTheAnswer() throws {
    let slow = MadeAudio(seconds: 1, count: 16000, pause: 500_000)
    let session = try Self.session(try Self.engine(), contextLength: 1024)
    var reason: GenerationEvent.FinishReason?
    let status = Runs.status {
      _ = try session.chat(
        messages: Self.audio(1), attachments: [.audio(slow)],
        configuration: #"{"time_limit": 0.8, "max_tokens": 2, "ignore_eos": true}"#
      ) { event in
        if event.kind == .token { usleep(500_000) }
        if event.kind == .end { reason = event.finishReason }
        return 0
      }
    }
    #expect(status == .timedOut || reason == .time)
  }

  // MARK: - Limits

  /// What a host hands over keeps to the limits that it has set for its engine.
  @Test func attachmentsKeepToLimits() throws {
    let bytes = Self.wav(16000)
    let buffer = try AlignedBuffer(byteCount: bytes.count, for: "a test")
    buffer.bytes.copyBytes(from: bytes)
    let file = try MediaItem(.bytes(buffer), as: .audio, name: "sound.wav")
    let image = MediaItem.image(try SyntheticImages.image(20, 10, seed: 1))
    let frames = try (0..<8).map { try SyntheticImages.image(20, 10, seed: $0) }
    let video = MediaItem.video(try HeldVideo(frames, framesPerSecond: 2), framesPerSecond: nil)
    for (item, member, fragment) in [
      (file, #""max_seconds": 0.5"#, "sound.wav: the file lasts longer than max_seconds, 0.5"),
      (file, #""max_bytes": 100"#, "more than max_bytes, 100"),
      (file, #""max_output_bytes": 1000"#, "more bytes than max_output_bytes, 1000"),
      (try Self.held(16000), #""max_seconds": 0.5"#, "audio of 1.0 s, longer than max_seconds, 0.5"),
      (image, #""max_pixels": 199"#, "20 x 10 pixels, more than max_pixels, 199"),
      (video, #""max_frames": 7"#, "8 frames, more than max_frames, 7"),
      (video, #""max_output_bytes": 1000"#, "more than max_output_bytes, 1000"),
    ] {
      let engine = try Self.engine { $0.media = (try? MediaOptions(json: "{\(member)}")) ?? $0.media }
      let name = item.modality == .audio ? "input_audio" : "\(item.modality.rawValue)_url"
      let failure = Self.failure {
        _ = try engine.tokenize(
          messages: Self.messages([["type": .string(name), name: ["url": "attachment:0"]]]), attachments: [item])
      }
      #expect(failure?.status == .unsupported, "\(member)")
      #expect(
        failure?.message.hasPrefix("messages_json: message 0, part 0: ") == true
          && failure?.message.contains(fragment) == true, "\(member): \(String(describing: failure))")
    }
  }

  // MARK: - Sentences

  @Test func sentencesNamePartAndFile() throws {
    let folder = try TemporaryFolder()
    let path = try #require(File.canonicalPath(folder.path))
    try folder.write("good.wav", Self.wav(16000))
    try folder.write("bad.flac", Array("fLaC".utf8) + [UInt8](repeating: 0, count: 400))
    #expect(mkdir(path + "/folder", 0o700) == 0)
    let roots = try MediaRoots([path])
    let engine = try Self.engine { $0.media.roots = roots }
    func failure(_ url: String) -> Failure? {
      let parts = ["\(path)/good.wav", url].map { url -> JSON in
        ["type": "input_audio", "input_audio": ["url": .string(url)]]
      }
      return Self.failure { _ = try engine.tokenize(messages: Self.messages(parts)) }
    }
    let place = "messages_json: message 0, part 1: "
    let bad = failure("\(path)/bad.flac")
    #expect(bad?.message.hasPrefix("\(place)'\(path)/bad.flac': ") == true, "\(String(describing: bad))")
    #expect(bad?.message.contains("/proc/self") == false && bad?.message.contains("Invalid data") == false)
    #expect(failure("\(path)/folder")?.message == "\(place)'\(path)/folder': this is a folder, not a file")
    for url in ["\(path)/good.wav\0.txt", "file://\(path)/good.wav%00.txt"] {
      let cut = failure(url)
      #expect(cut?.status == .invalidArgument, "\(url)")
      #expect(cut?.message.hasPrefix(place) == true && cut?.message.contains("a NUL character names no file") == true)
    }
    #expect(failure("data:audio/wav;base64,AAAA")?.message.hasPrefix("\(place)the data: ") == true)
  }

  /// As tools write it that wrap their lines.
  @Test func base64MayHaveLines() throws {
    let engine = try Self.engine()
    let bytes = Self.wav(6000)
    func tokens(_ part: JSON) throws -> [Int32] { try engine.tokenize(messages: Self.messages([part])) }
    func data(_ text: String) -> JSON {
      ["type": "input_audio", "input_audio": ["data": .string(text), "format": "wav"]]
    }
    let whole = try tokens(data(Self.base64(bytes)))
    #expect(try tokens(data(Self.base64(bytes, lineLength: 76))) == whole)
    let url = "data:audio/wav;base64," + Self.base64(bytes, lineLength: 64)
    #expect(try tokens(["type": "input_audio", "input_audio": ["url": .string(url)]]) == whole)
  }
}

extension Engine {
  fileprivate var memoryBudgetPeak: Int64? { (try? statistics())?["memory"]?["peak"]?.integerValue }
}
