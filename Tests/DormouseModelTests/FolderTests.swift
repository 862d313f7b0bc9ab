import DormouseKernels
import DormouseModel
import DormouseSupport
import Glibc
import Testing

/// Folders that real tools write and that must open, or mean something else than their configuration says.
@Suite struct FolderTests {
  private static let head = "lm_head.weight"
  private static let embedding = "model.embed_tokens.weight"
  private static let tied = "good-v2-f16-tied"

  private func written(_ model: EditedModel) throws -> TemporaryFolder {
    let folder = try TemporaryFolder()
    try model.write(into: folder)
    return folder
  }

  private func logits(_ folder: String, _ precision: WeightPrecision = .native, log: Log = .silent) throws -> [Float] {
    let model = try Model.open(
      folder: folder, precision: precision, pool: ThreadPool(threadCount: 1), kernels: Kernels.selected(), log: log)
    let timeline = try Timeline(model: model, options: DecoderOptions(contextLength: 16))
    try timeline.forward([1, 5, 9], logits: .last)
    return Array(timeline.logits)
  }

  // MARK: - Tied heads

  /// The tied model with a head that is its embedding with the rows in the other order.
  private func modelWithOwnHead() throws -> EditedModel {
    var model = try EditedModel(Fixtures.path("models/\(Self.tied)"))
    let embedding = try #require(model.tensors[Self.embedding])
    let row = embedding.bytes.count / embedding.shape[0]
    var head = embedding
    head.bytes = (0..<embedding.shape[0]).reversed().flatMap { embedding.bytes[$0 * row..<($0 + 1) * row] }
    model.tensors[Self.head] = head
    return model
  }

  @Test(arguments: [WeightPrecision.native, .int8, .int4])
  func aHeadThatDiffersIsUsedThoughItShouldBeTied(precision: WeightPrecision) throws {
    var model = try modelWithOwnHead()
    let said = try written(model)
    model.configuration["tie_word_embeddings"] = false
    let untied = try written(model)
    let lines = Lines()
    #expect(try logits(said.path, precision, log: lines.log) == logits(untied.path, precision))
    #expect(try logits(said.path, precision) != logits(Fixtures.path("models/\(Self.tied)"), precision))
    #expect(lines.all.count == 1)
    let line = lines.all.first ?? ""
    #expect(line.hasPrefix("warning: \(said.path): config.json ties lm_head.weight to model.embed_tokens.weight"))
    #expect(line.contains("they are not tied"))
  }

  @Test func planAndCountsFollowTheFiles() throws {
    var model = try modelWithOwnHead()
    let said = try written(model)
    model.configuration["tie_word_embeddings"] = false
    let untied = try written(model)
    let (found, expected) = (try ModelFolder(said.path), try ModelFolder(untied.path))
    #expect(!found.configuration.tiesWordEmbeddings)
    #expect(try found.configuration.parameterCount() == expected.configuration.parameterCount())
    #expect(found.weightByteCount == expected.weightByteCount)
    #expect(found.byteCountPerToken == expected.byteCountPerToken)
    let kernels = try Kernels.selected()
    #expect(try found.plan(threadCount: 1, kernels: kernels) == expected.plan(threadCount: 1, kernels: kernels))
    let tied = try ModelFolder(Fixtures.path("models/\(Self.tied)"))
    #expect(tied.configuration.tiesWordEmbeddings && tied.weightByteCount < found.weightByteCount)
  }

  @Test func aCopyOfTheEmbeddingIsTied() throws {
    var model = try EditedModel(Fixtures.path("models/\(Self.tied)"))
    model.tensors[Self.head] = model.tensors[Self.embedding]
    let folder = try written(model)
    let lines = Lines()
    let found = try ModelFolder(folder.path, log: lines.log)
    #expect(found.configuration.tiesWordEmbeddings && lines.all.isEmpty)
    #expect(found.weightByteCount == (try ModelFolder(Fixtures.path("models/\(Self.tied)"))).weightByteCount)
    #expect(try logits(folder.path) == logits(Fixtures.path("models/\(Self.tied)")))
  }

  /// One bit, wherever it is.
  @Test(arguments: [0.0, 0.5, 1.0]) func everyByteOfAHeadIsCompared(place: Double) throws {
    var model = try EditedModel(Fixtures.path("models/\(Self.tied)"))
    var head = try #require(model.tensors[Self.embedding])
    head.bytes[Int(place * Double(head.bytes.count - 1))] ^= 1
    model.tensors[Self.head] = head
    let folder = try written(model)
    #expect(try !ModelFolder(folder.path).configuration.tiesWordEmbeddings)
  }

  @Test func aHeadOfAnotherShapeOrTypeIsNotTied() throws {
    var model = try EditedModel(Fixtures.path("models/\(Self.tied)"))
    var head = try #require(model.tensors[Self.embedding])
    head.shape.reverse()
    model.tensors[Self.head] = head
    let turned = try written(model)
    #expect { try ModelFolder(turned.path) } throws: { "\($0)".contains("tensor lm_head.weight has shape") }
    head = try #require(model.tensors[Self.embedding])
    head.type = "BF16"
    model.tensors[Self.head] = head
    let folder = try written(model)
    #expect(try !ModelFolder(folder.path).configuration.tiesWordEmbeddings)
  }

  // MARK: - Types

  /// The scales of this model are powers of two, which all of these types hold exactly.
  @Test(arguments: ["BF16", "F16"], [WeightPrecision.native, .int8]) func scalesOf16Bits(
    type: String, precision: WeightPrecision
  ) throws {
    let name = "good-v31-fp8-ue8m0"
    var model = try EditedModel(Fixtures.path("models/\(name)"))
    model.narrow(to: type) { $0.hasSuffix("_scale_inv") }
    let scales = model.tensors.filter { $0.key.hasSuffix("_scale_inv") }
    #expect(!scales.isEmpty && scales.allSatisfy { $0.value.type == type })
    let folder = try written(model)
    #expect(try logits(folder.path, precision) == logits(Fixtures.path("models/\(name)"), precision))
    let (found, original) = (try ModelFolder(folder.path), try ModelFolder(Fixtures.path("models/\(name)")))
    #expect(found.floatByteCount > original.floatByteCount)
  }

  @Test(arguments: ["F4", "F6_E2M3", "C64", "Q4_0"]) func anUnusedTensorMayBeOfAnyType(type: String) throws {
    var model = try EditedModel(Fixtures.path("models/good-tiny"))
    let size = ["F4": 4, "F6_E2M3": 6, "C64": 64][type] ?? 5
    model.tensors["model.layers.9.x"] = EditedModel.Tensor(
      type: type, shape: [8], bytes: [UInt8](repeating: 0, count: size))
    let folder = try written(model)
    let lines = Lines()
    #expect(try logits(folder.path, log: lines.log) == logits(Fixtures.path("models/good-tiny")))
    #expect(
      lines.all == ["warning: \(folder.path): 1 tensors are not part of the model: \"model.layers.9.x\""])
  }

  // MARK: - Indexes

  @Test func theIndexMayListWhatNoShardHas() throws {
    let model = try EditedModel(Fixtures.path("models/good-tiny"))
    let folder = try written(model)
    #expect(rename(folder.path + "/model.safetensors", folder.path + "/model-00001-of-00001.safetensors") == 0)
    var map = JSONObject()
    for name in model.tensors.keys { map[name] = "model-00001-of-00001.safetensors" }
    map["model.layers.9.eh_proj.weight"] = "model-00001-of-00001.safetensors"
    let index: JSON = ["weight_map": .object(map)]
    try folder.write("model.safetensors.index.json", Array(index.text().utf8))
    let lines = Lines()
    #expect(try logits(folder.path, log: lines.log) == logits(Fixtures.path("models/good-tiny")))
    #expect(
      lines.all == [
        "warning: \(folder.path): the index lists 1 tensors that no shard has: \"model.layers.9.eh_proj.weight\"; the"
          + " model does not use them"
      ])
  }
}
