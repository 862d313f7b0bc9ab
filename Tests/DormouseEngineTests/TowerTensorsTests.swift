import DormouseEngine
import DormouseSupport
import DormouseWeights
import Testing

/// What the engine says of the tensors of a folder's towers.
@Suite struct TowerTensorsTests {
  private static let omni = Fixtures.path("Fixtures/models-media/kimi_k25-omni")
  private static let visionParts = ["vision_tower.", "mm_projector.", "vision_encoder."]
  private static let audioParts = ["audio_tower.", "audio_projector.", "multi_modal_projector.", "audio_encoder."]

  /// Against the shapes in the files' headers: tests may go by the look of names.
  @Test(
    arguments: [
      ("kimi_k25-omni", [["image", "video"], ["audio"]]), ("kimi_k25-tiny", [["image", "video"]]),
      ("dots3_note-tiny", [["image", "video"], ["audio"]]),
      ("good-voxtral", [["audio"]]),
    ], [true, false])
  func parametersAreThoseOfTheFiles(_ expected: (folder: String, towers: [[String]]), withoutWeights: Bool) throws {
    let folder = Fixtures.path("Fixtures/models-media/\(expected.folder)")
    var options = EngineOptions()
    options.withoutWeights = withoutWeights
    options.threadCount = 1
    let info = try Engine(path: folder, options: options).info()
    let checkpoint = try Checkpoint(folder: folder)
    let found = try #require(info["towers"]?.arrayValue)
    #expect(found.map { $0["modalities"]?.arrayValue?.compactMap(\.stringValue) } == expected.towers)
    for (tower, modalities) in zip(found, expected.towers) {
      let parts = modalities == ["audio"] ? Self.audioParts : Self.visionParts
      let names = checkpoint.tensorNames.filter { name in
        parts.contains { name.hasPrefix($0) } && !name.hasSuffix("_scale_inv")
      }
      let count = names.compactMap { checkpoint.record(of: $0)?.shape.reduce(1, *) }.reduce(0, +)
      #expect(count > 0 && tower["parameters"]?["total"]?.integerValue == Int64(count))
    }
  }

  @Test func aModelOfTextAloneHasNoTowers() throws {
    #expect(try Runs.engine().info()["towers"]?.arrayValue?.isEmpty == true)
  }

  /// What no list names is told of, whatever it is called; what a tower's list names is not.
  @Test func leftoversOfTowersAreLogged() throws {
    var model = try EditedModel(Self.omni)
    #expect(try Self.warnings(model).isEmpty)
    let empty = EditedModel.Tensor(type: "F32", shape: [1], bytes: [0, 0, 0, 0])
    model.tensors["audio_projector.linear_3.weight"] = empty
    model.tensors["vision_tower.encoder.blocks.9.norm0.weight"] = empty
    let warnings = try Self.warnings(model)
    #expect(warnings.count == 1)
    #expect(
      warnings.first?.hasSuffix(
        """
        : 2 tensors are not part of the model: "audio_projector.linear_3.weight",\
         "vision_tower.encoder.blocks.9.norm0.weight"
        """) == true)
  }

  private static func warnings(_ model: EditedModel) throws -> [String] {
    let folder = try TemporaryFolder()
    try model.write(into: folder)
    for name in ["processor_config.json", "tokenizer.json", "tokenizer_config.json"] {
      try folder.write(name, File(path: "\(omni)/\(name)").readAll(limit: 1 << 22))
    }
    let lines = Locked<[String]>([])
    var options = EngineOptions()
    options.threadCount = 1
    options.log = Log { level, line in
      if level == .warning, line.contains("not part of the model") { lines.withLock { $0.append(line) } }
    }
    _ = try Engine(path: folder.path, options: options)
    return lines.withLock { $0 }
  }
}
