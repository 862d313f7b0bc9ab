import DormouseSupport
import Testing

@testable import DormouseMedia

extension VideoPlan {
  /// The prompt's pieces as one text, with `row` for each row.
  func prompt(row: String) -> String {
    promptPieces.map { piece in
      switch piece {
      case .markup(let text): text
      case .rows(let count): String(repeating: row, count: count)
      }
    }.joined()
  }
}

/// Videos are sampled, cut into chunks and written into prompts as the published processors do.
@Suite struct VideoProcessorTests {
  private static let file = "vision/preprocessing"

  private func plan(_ row: GoldenRow) throws -> (VideoProcessorConfiguration, VideoPlan) {
    let configuration = try VideoProcessorConfiguration(row.object("config"))
    let size = try row.integers("size")
    let plan = try VideoPlan(
      configuration, frameCount: row.integer("frames"), framesPerSecond: row.number("rate"), width: size[0],
      height: size[1])
    return (configuration, plan)
  }

  @Test func plansEqualTransformers() throws {
    let rows = try GoldenRow.rows("\(Self.file).json", "films")
    #expect(rows.count == 7)
    for row in rows {
      let (_, plan) = try plan(row)
      #expect(try plan.chunks.flatMap(\.frames) == row.integers("indices"))
      #expect(try plan.chunks.map(\.grid) == row.grids("grids"))
      #expect(try plan.prompt(row: "@") == row.text("prompt"))
    }
  }

  @Test func patchesEqualTransformers() throws {
    let golden = try TensorFile(Fixtures.path("\(Self.file).safetensors"))
    let pool = try ThreadPool(threadCount: 2)
    var compared = 0
    for row in try GoldenRow.rows("\(Self.file).json", "films") where row.has("hasPatches") {
      let (configuration, plan) = try plan(row)
      let processor = VideoProcessor(configuration)
      let (size, seed) = (try row.integers("size"), try row.integer("seed"))
      var all: [Float] = []
      for chunk in plan.chunks {
        let frames = try chunk.frames.map { try SyntheticImages.image(size[0], size[1], seed: seed + $0) }
        let patchWidth = 3 * configuration.frame.patchSize * configuration.frame.patchSize
        var patches = [Float](repeating: 7, count: try chunk.grid.patchCount() * patchWidth)
        try patches.withUnsafeMutableBufferPointer { try processor.process(frames, of: chunk, into: $0, pool: pool) }
        all += patches
      }
      #expect(try all == golden.patches(row.text("name")).values)
      compared += 1
    }
    #expect(compared == 4)
  }

  @Test func sampledFramesEqualBothProcessors() throws {
    let rows = try GoldenRow.rows("\(Self.file).json", "samplings")
    #expect(rows.count >= 5)
    for row in rows {
      var configuration = try VideoProcessorConfiguration.load(folder: "/nowhere")
      configuration.framesPerSecond = try row.number("fps")
      let (total, rate) = (try row.integer("total"), try row.number("rate"))
      #expect(try configuration.sampledFrames(of: total, framesPerSecond: rate) == row.integers("floor"))
      configuration.sampling = .evenNearest
      #expect(try configuration.sampledFrames(of: total, framesPerSecond: rate) == row.integers("nearest"))
    }
  }

  /// A video with fewer frames a second than are asked for is seen whole.
  @Test func slowFilms() throws {
    let configuration = try VideoProcessorConfiguration.load(folder: "/nowhere")
    #expect(configuration.sampledFrames(of: 6, framesPerSecond: 0.25) == [0, 1, 2, 3, 4, 5])
  }

  @Test func timestamps() throws {
    let configuration = try VideoProcessorConfiguration.load(folder: "/nowhere")
    let times = [0, 0.75, 86_399.9999, 90_061.25, 1.001]
    let plan = try VideoPlan(
      configuration, frameCount: 5, framesPerSecond: 2, width: 28, height: 28, timestamps: times)
    #expect(plan.chunks.map(\.timestamp) == ["00:00:00.000", "00:00:01.000"])
    let style = VideoProcessorConfiguration.TimestampStyle.hours
    #expect(times.map { style.text(seconds: $0) }[1...3] == ["00:00:00.750", "23:59:59.999", "01:01:01.250"])
    #expect(VideoProcessorConfiguration.TimestampStyle.minutes.text(seconds: 90_061.25) == "01:01.250")
    #expect(VideoProcessorConfiguration.TimestampStyle.seconds.text(seconds: 90_061.25) == "01:01")
  }

  /// The times of a video of which frames are left out are those of the frames that are looked at.
  @Test func timestampsOfAFilmThatIsSampled() throws {
    let configuration = try VideoProcessorConfiguration.load(folder: "/nowhere")
    let times = (0..<600).map { Double($0) * 0.5 }
    let plan = try VideoPlan(
      configuration, frameCount: 600, framesPerSecond: 30, width: 28, height: 28, timestamps: times)
    let wanted = plan.chunks.map { VideoProcessorConfiguration.TimestampStyle.hours.text(seconds: times[$0.frames[0]]) }
    #expect(plan.chunks.map(\.timestamp) == wanted)
    #expect(plan.chunks.flatMap(\.frames).count < 600)
  }
}
