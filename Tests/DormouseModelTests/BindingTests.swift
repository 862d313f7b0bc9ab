import DormouseKernels
import DormouseModel
import DormouseSupport
import Glibc
import Testing

/// Variants of the golden folders, made by editing the text of a header or a configuration.
@Suite struct BindingTests {
  /// A copy of a model's folder under the system's temporary folder, gone with this object.
  final class Copy {
    let path: String

    /// - Parameters:
    ///   - folder: which of the fixtures' folders has the model.
    ///   - header: replacements in the safetensors header.
    ///   - configuration: replacements in `config.json`.
    init(
      _ model: String, folder: String = "models", header: [(String, String)] = [],
      configuration: [(String, String)] = []
    ) throws {
      var template = Array("/tmp/dormouse-binding-XXXXXX".utf8CString)
      path = String(cString: try #require(mkdtemp(&template)))
      let source = Fixtures.path("\(folder)/\(model)")
      let config = try File(path: "\(source)/config.json").readAll(limit: 1 << 20)
      try write(Array(Self.replace(configuration, in: config)), "config.json")
      var weights = try File(path: "\(source)/model.safetensors").readAll(limit: 1 << 24)
      let length = weights[..<8].reversed().reduce(0) { $0 << 8 | Int($1) }
      var text = Self.replace(header, in: Array(weights[8..<8 + length]))
      text += [UInt8](repeating: UInt8(ascii: " "), count: (8 - text.count % 8) % 8)
      let prefix = (0..<8).map { UInt8(truncatingIfNeeded: text.count >> ($0 * 8)) }
      weights.replaceSubrange(..<(8 + length), with: prefix + text)
      try write(weights, "model.safetensors")
    }

    deinit {
      unlink("\(path)/config.json")
      unlink("\(path)/model.safetensors")
      rmdir(path)
    }

    private func write(_ bytes: [UInt8], _ name: String) throws {
      let file = try #require(fopen("\(path)/\(name)", "w"))
      #expect(fwrite(bytes, 1, bytes.count, file) == bytes.count)
      fclose(file)
    }

    private static func replace(_ replacements: [(String, String)], in bytes: [UInt8]) -> [UInt8] {
      var text = bytes
      for (old, new) in replacements {
        let (old, new) = (Array(old.utf8), Array(new.utf8))
        var result: [UInt8] = []
        var index = 0
        while index < text.count {
          if text[index...].starts(with: old) {
            result += new
            index += old.count
          } else {
            result.append(text[index])
            index += 1
          }
        }
        text = result
      }
      return text
    }
  }

  static func logits(_ path: String, log: Log = .silent, residency: ModelOptions = ModelOptions()) throws -> [Float] {
    let model = try Model.open(
      folder: path, options: residency, pool: ThreadPool(threadCount: 1), kernels: Kernels.selected(), log: log)
    let timeline = try Timeline(model: model, options: DecoderOptions(contextLength: 16))
    try timeline.forward([1, 5, 9], logits: .last)
    return Array(timeline.logits)
  }

  @Test func namesWithoutTheModelsPrefix() throws {
    let copy = try Copy("good-tiny", header: [("\"model.", "\"")])
    #expect(try Self.logits(copy.path) == Self.logits(Fixtures.path("models/good-tiny")))
  }

  /// `save_pretrained` of transformers 5.23 writes the layers of kimi_k25's text model so.
  @Test func layersThatAreCalledBlocks() throws {
    let copy = try Copy(
      "kimi_k25-tiny", folder: "models-media",
      header: [("language_model.model.layers.", "language_model.model.blocks.")])
    let lines = Lines()
    #expect(
      try Self.logits(copy.path, log: lines.log) == Self.logits(Fixtures.path("models-media/kimi_k25-tiny")))
    #expect(lines.all.isEmpty, "\(lines.all)")
  }

  /// ue8m0 scales written by a tool without the type's name.
  @Test func powerOfTwoScalesAsBytes() throws {
    let name = "good-v31-fp8-e8m0"
    let copy = try Copy(name, header: [("F8_E8M0", "U8")])
    #expect(try Self.logits(copy.path) == Self.logits(Fixtures.path("models/\(name)")))
    let unclear = try Copy(name, header: [("F8_E8M0", "U8")], configuration: [("ue8m0", "float")])
    #expect { try Self.logits(unclear.path) } throws: {
      "\($0)".contains("_scale_inv has type U8; expected F32, BF16, F16 or F8_E8M0")
    }
  }

  /// DeepSeek-V4's name of block scales.
  @Test func scalesUnderTheirShortName() throws {
    let name = "good-v31-fp8-e8m0"
    let copy = try Copy(name, header: [(".weight_scale_inv", ".scale")])
    #expect(try Self.logits(copy.path) == Self.logits(Fixtures.path("models/\(name)")))
    let both = try Copy(name, header: [("o_proj.weight_scale_inv", "o_proj.scale")])
    #expect(try Self.logits(both.path) == Self.logits(Fixtures.path("models/\(name)")))
  }

  @Test func float8NeedsABlockSize() throws {
    let copy = try Copy("good-kimi-fp8", configuration: [("\"quantization_config\"", "\"something_else\"")])
    #expect { try Self.logits(copy.path) } throws: {
      ($0 as? Failure)?.status == .malformed && "\($0)".contains("no quantization_config")
    }
  }

  @Test func unexpectedTensorsAreListed() throws {
    let lines = Lines()
    let copy = try Copy(
      "good-glm-lite", configuration: [("\"num_nextn_predict_layers\": 1", "\"num_nextn_predict_layers\": 0")])
    _ = try Self.logits(copy.path, log: lines.log)
    #expect(lines.all.count == 1)
    let line = lines.all.first ?? ""
    #expect(line.hasPrefix("warning: ") && line.contains("not part of the model: \"model.layers.3."), "\(line)")
    #expect(line.contains(" and ") && line.contains(" more"), "\(line)")
  }

  @Test(arguments: Fixtures.goodModels)
  func mappedAndInMemoryAreTheSame(_ name: String) throws {
    let path = Fixtures.path("models/\(name)")
    #expect(
      try Self.logits(path, residency: ModelOptions(residency: .memory))
        == Self.logits(path, residency: ModelOptions(residency: .mapped)))
  }
}
