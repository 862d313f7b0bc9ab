import DormouseKernels
@testable import DormouseMedia
import DormouseSupport
import DormouseWeights
import Testing

/// A folder with a vision tower and an audio tower (`Tests/Fixtures/models-media/generate_omni.py`).
@Suite struct OmniFolderTests {
  private static let path = Fixtures.path("models-media/kimi_k25-omni")
  private static let files = ["config.json", "processor_config.json", "model.safetensors"]

  @Test func bothTowersAreFound() throws {
    let folder = try #require(try MediaFolder(Self.path, checkpoint: Checkpoint(folder: Self.path)))
    #expect(folder.modalities == [.image, .video, .audio])
    let (vision, voice) = (try VisionFolder(Self.path), try WhisperTowerFolder(Self.path))
    #expect(voice.configuration.architecture == .audioFlamingo3 && voice.configuration.isBesideVision)
    #expect(voice.processor.audioToken == "<sound>" && voice.processor.maximumSeconds == 60)
    #expect(voice.processor.features.chunkLength == 4)
    #expect(folder.weightByteCount == vision.tensors.weightByteCount + voice.tensors.weightByteCount)
    #expect(folder.floatByteCount == vision.tensors.floatByteCount + voice.tensors.floatByteCount)
    #expect(Set(vision.tensors.names).isDisjoint(with: voice.tensors.names))
  }

  @Test func rowsOfSoundsEqualTheReference() throws {
    let golden = try TensorFile("\(Self.path)/golden.safetensors")
    let expected = try golden.floats("sounds.rows")
    let tower = try WhisperTower(
      WhisperTowerFolder(Self.path), pool: ThreadPool(threadCount: 2), kernels: Kernels.selected())
    var found: [Float] = []
    for (count, seed) in [(75003, 3), (11234, 2)] {
      found += try WhisperTowerTests.rows(tower, SyntheticAudio.voice(count, seed: seed))
    }
    #expect(found.count == expected.count)
    let size = tower.configuration.textHiddenSize
    for start in stride(from: 0, to: min(found.count, expected.count), by: size) {
      let error = relativeError(found[start..<start + size], expected[start..<start + size])
      #expect(error <= 1e-5, "row \(start / size): \(error)")
    }
  }

  @Test func partsGoToTheirTowers() throws {
    let folder = try #require(try MediaFolder(Self.path, checkpoint: Checkpoint(folder: Self.path)))
    let reports = Locked<[(UInt64, UInt64)]>([])
    let encoder = try folder.load(
      residency: .memory, pool: ThreadPool(threadCount: 1), kernels: Kernels.selected()
    ) { done, total in
      reports.withLock { $0.append((done, total)) }
      return true
    }
    #expect(encoder.placeholder(of: .image) == "<|media_pad|>")
    #expect(encoder.placeholder(of: .video) == "<|kimi_k25_video_placeholder|>")
    #expect(encoder.placeholder(of: .audio) == "<sound>" && encoder.paddingTokens(of: .audio) == ["<sound>"])
    let image = try encoder.prepare(.image(try SyntheticImages.image(50, 37, seed: 1)), MediaTerms())
    #expect(image.modality == .image && image.rowCount == 12)
    // One running total over both towers.
    let found = reports.withLock { $0 }
    let total = UInt64(folder.weightByteCount)
    #expect(found.allSatisfy { $0.1 == total } && found.first?.0 == 0 && found.last?.0 == total)
    #expect(zip(found, found.dropFirst()).allSatisfy { $0.0 <= $1.0 })
    #expect(found.contains { $0.0 > 0 && $0.0 < total })
  }

  // MARK: - Bad folders

  /// What opening the folder says, with a file changed.
  private static func failure(
    _ file: String = "config.json", _ change: (inout JSONObject) -> Void
  ) throws -> Failure? {
    let folder = try TemporaryFolder()
    for name in files {
      var bytes = try File(path: "\(path)/\(name)").readAll(limit: 1 << 20)
      if name == file {
        var object = try #require(try File.readJSON("\(path)/\(name)").objectValue)
        change(&object)
        bytes = Array(JSON.object(object).text().utf8)
      }
      try folder.write(name, bytes)
    }
    do throws(Failure) {
      _ = try MediaFolder(folder.path, checkpoint: Checkpoint(folder: folder.path))
      return nil
    } catch {
      return error
    }
  }

  private static func changing(_ key: String, to value: JSON?) -> (inout JSONObject) -> Void {
    { object in
      var audio = object["audio_config"]?.objectValue ?? JSONObject()
      audio[key] = value
      object["audio_config"] = .object(audio)
    }
  }

  @Test func badConfigurations() throws {
    let cases: [((inout JSONObject) -> Void, Status, String)] = [
      (
        Self.changing("model_type", to: "wav2vec2"), .unsupported,
        #"config.json: audio_config.model_type is "wav2vec2", which is not supported; supported: voxtral_encoder,"#
      ),
      (Self.changing("model_type", to: nil), .malformed, "config.json: audio_config.model_type is missing"),
      (Self.changing("num_mel_bins", to: 80), .malformed, "audio_config.num_mel_bins is 80; expected the"),
      (Self.changing("max_source_positions", to: 100), .malformed, "audio_config.max_source_positions is 100"),
      (Self.changing("hidden_size", to: 24), .malformed, "tensor audio_tower.conv1.weight has shape"),
      ({ $0["audio_config"] = 7 }, .malformed, "config.json: audio_config is an integer; expected an object"),
      ({ $0["projector_bias"] = 1 }, .malformed, "config.json: projector_bias is 1; expected true or false"),
      ({ $0["projector_hidden_act"] = "relu" }, .unsupported, #"config.json: projector_hidden_act is "relu""#),
      ({ $0["audio_token_id"] = -1 }, .malformed, "config.json: audio_token_id is -1"),
    ]
    for (change, status, expected) in cases {
      let failure = try #require(try Self.failure("config.json", change))
      #expect(failure.status == status && failure.message.contains(expected), "\(failure)")
    }
  }

  @Test func badProcessors() throws {
    let cases: [((inout JSONObject) -> Void, String)] = [
      ({ $0["audio_token"] = nil }, "processor_config.json: audio_token is missing; expected a string"),
      ({ $0["audio_token"] = 5 }, "processor_config.json: audio_token is 5; expected a string"),
      ({ $0["max_audio_len"] = 0 }, "processor_config.json: max_audio_len is 0; expected"),
      ({ $0["feature_extractor"] = nil }, "feature_extractor is missing; expected the processor of audio"),
      ({ $0["feature_extractor"] = 1 }, "processor_config.json: feature_extractor is an integer; expected an object"),
    ]
    for (change, expected) in cases {
      let failure = try #require(try Self.failure("processor_config.json", change))
      #expect(failure.message.contains(expected), "\(failure)")
    }
  }

  /// Without the projector of its own, the tower does not take the images'.
  @Test func missingProjector() throws {
    let folder = try TemporaryFolder()
    for name in Self.files {
      var bytes = try File(path: "\(Self.path)/\(name)").readAll(limit: 1 << 20)
      if name == "model.safetensors" {
        let old = Array("audio_projector.linear_1.weight".utf8)
        let at = try #require(bytes.firstRange(of: old)?.lowerBound)
        bytes.replaceSubrange(at..<at + old.count, with: "other_projector.linear_1.weight".utf8)
      }
      try folder.write(name, bytes)
    }
    let failure = #expect(throws: Failure.self) {
      _ = try MediaFolder(folder.path, checkpoint: Checkpoint(folder: folder.path))
    }
    #expect(failure?.message.contains("tensor audio_projector.linear_1.weight is missing") == true)
  }

  /// Voxtral's tower, too, in a model of either type that sees.
  @Test(arguments: ["kimi_k25", "kimi_vl"]) func otherTowers(_ type: String) throws {
    let document: JSON = [
      "model_type": .string(type), "text_config": ["hidden_size": 32],
      "audio_config": [
        "model_type": "voxtral_encoder", "num_mel_bins": 20, "hidden_size": 20, "intermediate_size": 80,
        "num_attention_heads": 2, "num_hidden_layers": 2, "max_source_positions": 200,
      ],
    ]
    let configuration = try WhisperTowerConfiguration(JSONFields(document, file: "config.json"))
    #expect(configuration.architecture == .voxtral && configuration.isBesideVision)
    #expect(configuration.projection.positionsPerRow == 4 && !configuration.projection.hasBias)
  }

  /// A model without audio_config, or with null, sees and does not hear.
  @Test func earsAreOptional() throws {
    #expect(try Self.failure { $0["audio_config"] = nil } == nil)
    #expect(try Self.failure { $0["audio_config"] = .null } == nil)
    let kimi = Fixtures.path("models-media/kimi_k25-tiny")
    #expect(try MediaFolder(kimi, checkpoint: Checkpoint(folder: kimi))?.modalities == [.image, .video])
  }
}
