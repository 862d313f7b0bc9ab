import DormouseClient
import Testing

@Suite struct AttachmentTests {
  private func messages(_ type: String) -> String {
    #"[{"role": "user", "content": [{"type": "\#(type)", "\#(type)": {"url": "attachment:0"}}]}]"#
  }

  private func pixels(_ width: Int, _ height: Int, frames: Int = 1) -> [UInt8] {
    (0..<frames * width * height * 3).map { UInt8(truncatingIfNeeded: $0 * 7) }
  }

  /// A chat about one attachment: what the session tells is what `tokenize` told before.
  private func end(of attachment: MediaAttachment, _ type: String, in engine: OpenEngine) throws -> OpenSession.End {
    let count = try engine.tokenize(messages: messages(type), attachments: [attachment]).count
    var options = Fixtures.greedy
    options.maxTokens = 1
    var end: OpenSession.End?
    try OpenSession(engine).generate(.messages(messages(type), attachments: [attachment]), options) {
      if case .end(let found) = $0 { end = found }
    }
    let found = try #require(end)
    #expect(found.promptTokens == count)
    return found
  }

  /// A model that takes all three: what each has in the prompt is counted by its kind.
  @Test func chatsTakeWhatIsInMemory() throws {
    let engine = try OpenEngine(Fixtures.mediaModel)
    let image = try end(of: MediaAttachment(pixels: pixels(50, 37), width: 50, height: 37), "image_url", in: engine)
    #expect(image.imageTokens > 0 && image.videoTokens == 0 && image.audioTokens == 0)
    let frames = pixels(40, 27, frames: 9)
    let video = try end(
      of: MediaAttachment(frames: frames, count: 9, width: 40, height: 27, .framesPerSecond(2)), "video_url", in: engine
    )
    #expect(video.videoTokens > 0 && video.imageTokens == 0)
    let timed = try MediaAttachment(
      frames: frames, count: 9, width: 40, height: 27, .timestamps((0..<9).map { Double($0) / 2 }))
    #expect(try end(of: timed, "video_url", in: engine).videoTokens == video.videoTokens)
    let audio = try MediaAttachment(samples: [Float](repeating: 0.1, count: 16000), rate: 16000)
    let short = try end(of: audio, "input_audio", in: engine)
    #expect(short.audioTokens > 0 && short.imageTokens == 0)
    try audio.append(samples: [Float](repeating: 0.2, count: 32000))
    #expect(try end(of: audio, "input_audio", in: engine).audioTokens > short.audioTokens)
  }

  @Test func filesAreReadAsTheirKind() throws {
    let engine = try OpenEngine(Fixtures.mediaModel)
    let image = try end(of: MediaAttachment(.image, path: Fixtures.image), "image_url", in: engine)
    let audio = try end(of: MediaAttachment(.audio, path: Fixtures.audio), "input_audio", in: engine)
    #expect(image.imageTokens > 0 && audio.audioTokens > 0)
    #expect(throws: DormouseError.self) { try MediaAttachment(.audio, path: Fixtures.image) }
    let missing = #expect(throws: DormouseError.self) { try MediaAttachment(.video, path: "/no/such/video") }
    #expect(missing?.status == .notFound)
    #expect(throws: DormouseError.self) { try MediaAttachment(.image, bytes: []) }
  }

  @Test func sizesThatDoNotFitAreRefused() throws {
    let pixels = pixels(2, 2)
    func refused(_ body: () throws -> Void) {
      let error = #expect(throws: DormouseError.self, performing: body)
      #expect(error?.status == .invalidArgument)
    }
    refused { _ = try MediaAttachment(pixels: pixels, width: 2, height: 3) }
    refused { _ = try MediaAttachment(pixels: [], width: 0, height: 0) }
    refused { _ = try MediaAttachment(pixels: pixels, width: .max, height: .max) }
    refused { _ = try MediaAttachment(frames: pixels, count: 2, width: 2, height: 1, .timestamps([0])) }
    refused { _ = try MediaAttachment(frames: pixels, count: 2, width: 2, height: 1, .timestamps([1, 0])) }
    refused { _ = try MediaAttachment(frames: pixels, count: 2, width: 2, height: 1, .framesPerSecond(.nan)) }
    refused { _ = try MediaAttachment(frames: pixels, count: -2, width: 2, height: 1, .framesPerSecond(1)) }
    refused { _ = try MediaAttachment(samples: [0, 1, 0], channels: 2, rate: 8000) }
    refused { _ = try MediaAttachment(samples: [0], channels: 0, rate: 8000) }
    refused { _ = try MediaAttachment(samples: [.nan], rate: 8000) }
    let stereo = try MediaAttachment(samples: [], channels: 2, rate: 8000)
    try stereo.append(samples: [0, 1])
    refused { try stereo.append(samples: [0]) }
    refused { try MediaAttachment(pixels: pixels, width: 2, height: 2).append(samples: [0]) }
    let engine = try OpenEngine(Fixtures.mediaModel)
    refused { _ = try engine.tokenize(messages: messages("image_url")) }
  }
}
