import DormouseSupport
import Testing

@testable import DormouseMedia

/// Through the built libdormouse_media.so, which lies beside the tests' own program.
@Suite struct MediaLibraryTests {
  /// Two rows of three pixels, 24 bits each, the lower row first, four bytes to a row's end.
  private static let bmp: [UInt8] =
    Array("BM".utf8) + [78, 0, 0, 0, 0, 0, 0, 0, 54, 0, 0, 0, 40, 0, 0, 0, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 24, 0]
    + [UInt8](repeating: 0, count: 24) + [30, 20, 10, 31, 21, 11, 32, 22, 12, 0, 0, 0]
    + [60, 50, 40, 61, 51, 41, 62, 52, 42, 0, 0, 0]

  /// Three frames of one pixel: red, green, blue, of 50, 70 and 100 ms.
  static let gif: [UInt8] =
    Array("GIF89a".utf8) + [1, 0, 1, 0, 0x81, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0]
    + [(5, 0x44), (7, 0x4C), (10, 0x54)].flatMap { (delay: UInt8, code: UInt8) -> [UInt8] in
      [0x21, 0xF9, 4, 0, delay, 0, 0, 0, 0x2C, 0, 0, 0, 0, 1, 0, 1, 0, 0, 2, 2, code, 1, 0]
    } + [0x3B]

  /// The same video as an animated WebP.
  private static let webp: [UInt8] = {
    func chunk(_ name: String, _ content: [UInt8]) -> [UInt8] {
      Array(name.utf8) + [UInt8(content.count), 0, 0, 0] + content
    }
    let colors: [(delay: UInt8, bits: [UInt8])] = [
      (50, [16, 253, 143, 254]), (70, [208, 255, 136, 254]), (100, [16, 209, 255, 254]),
    ]
    let frames = colors.flatMap { color in
      chunk(
        "ANMF",
        [UInt8](repeating: 0, count: 12) + [color.delay, 0, 0, 2]
          + chunk("VP8L", [47, 0, 0, 0, 0, 7] + color.bits + [7, 34, 162, 255, 1]) + [0])
    }
    let canvas = chunk("VP8X", [2] + [UInt8](repeating: 0, count: 9)) + chunk("ANIM", [UInt8](repeating: 0, count: 6))
    return chunk("RIFF", Array("WEBP".utf8) + canvas + frames)
  }()

  /// 16-bit samples of two channels at 8000 Hz: the left one at a half, the right one at zero.
  private static let wav: [UInt8] = {
    let data = (0..<800).flatMap { _ -> [UInt8] in [0, 0x40, 0, 0] }
    func number(_ value: Int, _ count: Int) -> [UInt8] {
      (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) }
    }
    let format = number(1, 2) + number(2, 2) + number(8000, 4) + number(32000, 4) + number(4, 2) + number(16, 2)
    return Array("RIFF".utf8) + number(36 + data.count, 4) + Array("WAVEfmt ".utf8) + number(16, 4) + format
      + Array("data".utf8) + number(data.count, 4) + data
  }()

  private func open(
    _ bytes: [UInt8], _ options: MediaFileOptions = MediaFileOptions(), _ interruption: Interruption = .never
  ) throws -> MediaFile {
    let buffer = try AlignedBuffer(byteCount: bytes.count, for: "a test")
    buffer.bytes.copyBytes(from: bytes)
    return try MediaFile(.bytes(buffer), name: "image 1", options: options, interruption)
  }

  @Test func image() throws {
    let file = try open(Self.bmp)
    let description = try file.probe()
    #expect(description.format == "bmp" && description.frameCount == 1 && description.duration == 0)
    #expect(
      try file.image()
        == MediaImage(
          width: 3, height: 2, bytes: [40, 50, 60, 41, 51, 61, 42, 52, 62, 10, 20, 30, 11, 21, 31, 12, 22, 32]))
  }

  @Test func video() throws {
    let file = try open(Self.gif)
    let description = try file.probe()
    #expect((description.width, description.height, description.frameCount) == (1, 1, 3))
    #expect(abs(description.duration - 0.22) < 1e-9)
    let timestamps = try file.timestamps()
    #expect(zip(timestamps, [0, 0.05, 0.12]).allSatisfy { abs($0 - $1) < 1e-9 } && timestamps.count == 3)
    var seen: [[UInt8]] = []
    // A sampler may want a frame twice.
    try file.frames([0, 1, 1, 2]) { (frame) throws(Failure) in
      #expect(frame.seconds == timestamps[frame.index])
      seen.append(Array(frame.bytes))
      return true
    }
    #expect(seen == [[255, 0, 0], [0, 255, 0], [0, 255, 0], [0, 0, 255]])
  }

  /// Each call may begin anywhere, also before where the last one ended.
  @Test(arguments: [gif, webp]) func earlierFramesAfterLaterOnes(_ bytes: [UInt8]) throws {
    let file = try open(bytes)
    var seen: [[UInt8]] = []
    for numbers in [[2], [0], [1, 2], [1], [0, 2]] {
      try file.frames(numbers) { (frame) throws(Failure) in
        seen.append(Array(frame.bytes))
        return true
      }
    }
    let (red, green, blue): ([UInt8], [UInt8], [UInt8]) = ([255, 0, 0], [0, 255, 0], [0, 0, 255])
    #expect(seen == [blue, red, green, blue, green, red, blue])
  }

  @Test func audio() throws {
    let file = try open(Self.wav)
    let description = try file.probe()
    #expect((description.channelCount, description.sampleRate, description.frameCount) == (2, 8000, 0))
    #expect(abs(description.audioDuration - 0.1) < 1e-9)
    var samples: [Float] = []
    try file.samples(rate: 0) { (piece) throws(Failure) in
      samples += piece
      return true
    }
    #expect(samples.count == 800 && samples.allSatisfy { abs($0 - 0.25) < 1e-6 })
  }

  @Test func files() throws {
    let folder = try TemporaryFolder()
    try folder.write("image", Self.bmp)
    let source = try MediaSource(
      reference: "file://\(folder.path)/image", name: "image 1", roots: try MediaRoots([folder.path]), byteLimit: 0)
    #expect(try MediaFile(source, name: "image 1").image().width == 3)
  }

  @Test func whatTheReceiverThrowsComesBack() throws {
    let thrown = Failure(.cancelled, "enough")
    var calls = 0
    #expect(throws: thrown) {
      try open(Self.gif).frames([0, 1, 2]) { (_) throws(Failure) in
        calls += 1
        throw thrown
      }
    }
    #expect(calls == 1)
    try open(Self.gif).frames([0, 1, 2]) { (_) throws(Failure) in
      calls += 1
      return calls < 3
    }
    #expect(calls == 3)
  }

  @Test func failures() throws {
    var options = MediaFileOptions()
    options.pixelLimit = 5
    #expect { try open(Self.bmp, options).image() } throws: {
      ($0 as? Failure)?.status == .unsupported && "\($0)".hasPrefix("image 1: the image has 3 x 2 pixels")
    }
    // Whoever stops the work says why.
    let reason = Failure(.timedOut, "too late")
    #expect(throws: reason) { try open(Self.gif, MediaFileOptions(), Interruption { reason }).probe() }
    #expect { try open(Self.gif).frames([2, 1]) { (_) in true } } throws: {
      ($0 as? Failure)?.status == .invalidArgument
    }
    #expect { try open(Self.gif).frames([-1]) { (_) in true } } throws: { ($0 as? Failure)?.status == .invalidArgument }
    #expect { try open([]) } throws: { "\($0)" == "image 1: the file is empty" }
  }

  @Test func missingLibraries() throws {
    #expect { try MediaLibrary(path: "/nowhere/libdormouse_media.so.0") } throws: {
      ($0 as? Failure)?.status == .unsupported && "\($0)".contains("/nowhere/libdormouse_media.so.0")
    }
    // A library, but another one.
    #expect { try MediaLibrary(path: "libm.so.6") } throws: {
      "\($0)".contains("no function dormouse_media_version_number")
    }
  }

  @Test func places() throws {
    let folder = try TemporaryFolder()
    #expect(MediaLibrarySearch.candidates(besides: "\(folder.path)/program") == ["libdormouse_media.so.0"])
    #expect(MediaLibrarySearch.candidates(besides: nil) == ["libdormouse_media.so.0"])
    try folder.write("libdormouse_media.so.0", [])
    #expect(
      MediaLibrarySearch.candidates(besides: "\(folder.path)/program")
        == ["\(folder.path)/libdormouse_media.so.0", "libdormouse_media.so.0"])
  }
}
