import DormouseClient
import Testing

@Suite struct TranscriberTests {
  @Test func audioIsWrittenDown() throws {
    let transcriber = try OpenTranscriber(Fixtures.whisper)
    let audio = try MediaAttachment(.audio, path: Fixtures.audio)
    var options = OpenTranscriber.TranscriptionOptions()
    options.language = "en"
    options.temperature = [0]
    var segments: [OpenTranscriber.Segment] = []
    try transcriber.run(audio, options) { segments.append($0) }
    let first = try #require(segments.first)
    #expect(first.language == "en" && first.start <= first.end && first.temperature == 0)
    #expect(segments.contains { !$0.text.isEmpty })

    struct Enough: Error {}
    #expect(throws: Enough.self) { try transcriber.run(audio, options) { _ in throw Enough() } }
    options.language = "xx"
    let error = #expect(throws: DormouseError.self) { try transcriber.run(audio, options) { _ in } }
    #expect(error?.status == .invalidArgument)
  }

  @Test func whatIsNoAudioIsRefused() throws {
    let bytes = #expect(throws: DormouseError.self) { try MediaAttachment(.audio, bytes: [1, 2, 3]) }
    #expect(bytes?.status == .unsupported)
    #expect(throws: DormouseError.self) { try MediaAttachment(.audio, path: "/no/such/audio") }
    let model = #expect(throws: DormouseError.self) { try OpenTranscriber(Fixtures.shippedModel) }
    #expect(model != nil)
  }
}
