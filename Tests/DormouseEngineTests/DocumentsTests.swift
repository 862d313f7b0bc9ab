import DormouseCache
import DormouseMedia
import DormouseModel
import DormouseSupport
import Testing

@testable import DormouseEngine

/// Whole documents and events: every member has the value that follows from the folder or from what was done, and there
/// is no other member.
@Suite struct DocumentsTests {
  /// The values of a document by their paths.
  private static func values(_ json: JSON, _ path: String = "") -> [String: JSON] {
    let members: [(String, JSON)]
    if let object = json.objectValue {
      members = object.map { ($0.key, $0.value) }
    } else if let array = json.arrayValue, !array.isEmpty {
      members = array.enumerated().map { ("\($0)", $1) }
    } else {
      return [path: json]
    }
    return members.reduce(into: [:]) { all, member in
      all.merge(values(member.1, path.isEmpty ? member.0 : "\(path).\(member.0)")) { $1 }
    }
  }

  private static func expect(_ found: JSON, _ expected: JSON, _ what: String) {
    let (found, expected) = (values(found), values(expected))
    for path in Set(found.keys).union(expected.keys).sorted() {
      #expect(found[path] == expected[path], "\(what): \(path)")
    }
  }

  private static func path(_ model: String) -> String { Fixtures.path("Fixtures/models/\(model)") }

  // MARK: - The model

  /// `config.json` says the sizes; the file has 75,159 numbers, 37,296 of them in the 24 experts of two layers.
  @Test func aModelOfOneKindOfLayers() throws {
    let engine = try Runs.engine()
    let folder = try ModelFolder(Self.path(Runs.model))
    Self.expect(
      try engine.info(),
      [
        "path": .string(Self.path(Runs.model)), "model_type": "deepseek_v3",
        "parameters": [
          "total": 75159, "active": .size(75159 - 37296 / 24 * 19),
          "active_in_layers": .size(75159 - 37296 / 24 * 19 - 2 * 97 * 37),
        ],
        "towers": [], "modalities": ["text"],
        "layers": 4, "hidden_size": 37, "vocabulary_size": 97, "context_length": 1024,
        "attention": [
          "heads": 3, "q_lora_rank": 19, "kv_lora_rank": 22, "qk_nope_head_dim": 9, "qk_rope_head_dim": 6,
          "v_head_dim": 7,
        ],
        "experts": ["routed": 24, "per_token": 5, "shared": 1, "layers": 2, "topk_method": "noaux_tc"],
        "cache": [
          "values_per_token": .size(4 * (22 + 6)), "page_tokens": 64, "default_type": "f32",
          "bytes_per_token": [
            "bf16": .size(4 * 2 * (22 + 6)), "f32": .size(4 * 4 * (22 + 6)),
            "int8": .size(try folder.configuration.pageLayout(.int8).byteCount / 64),
          ],
          "plain_attention_bytes_per_token": [
            "bf16": .size(4 * 3 * (9 + 6 + 7) * 2), "f32": .size(4 * 3 * (9 + 6 + 7) * 4),
          ],
        ],
        "weights": [
          "precision": "native", "bytes": 300_636, "bytes_per_token": .size(folder.byteCountPerToken),
          "types": ["F32": 300_636], "tensors": 199,
        ],
        "text": ["tokenizer": false, "chat_template": false, "chat_templates": [], "end_tokens": [1]],
        "instruction_set": .string(engine.kernels.instructionSet.rawValue), "threads": 2,
      ], "the description")
    // Packed weights have other rows, and other bytes.
    let packed = try Runs.engine { $0.precision = .int8 }
    let document = try packed.info()
    #expect(document["cache"]?["default_type"] == "bf16" && document["weights"]?["precision"] == "int8")
    let packedFolder = try ModelFolder(Self.path(Runs.model), precision: .int8)
    #expect(document["weights"]?["bytes"] == .size(packedFolder.weightByteCount))
  }

  /// Layers that look for their tokens and layers with a window, each with sizes of its own.
  @Test func aModelOfTwoKindsOfLayers() throws {
    let model = "good-dots-published"
    let document = try Runs.engine(model) { $0.withoutWeights = true }.info()
    let first: [String: JSON] = [
      "heads": 3, "q_lora_rank": 17, "kv_lora_rank": 13, "qk_nope_head_dim": 7, "qk_rope_head_dim": 4, "v_head_dim": 5,
    ]
    let searching: [String: JSON] = ["layers": 3, "index_n_heads": 12, "index_head_dim": 9, "index_topk": 24]
    let sliding: JSON = [
      "heads": 2, "q_lora_rank": 11, "kv_lora_rank": 15, "qk_nope_head_dim": 8, "qk_rope_head_dim": 6, "v_head_dim": 6,
      "layers": 3, "sliding_window": 20,
    ]
    func object(_ members: [String: JSON]) -> JSON {
      var object = JSONObject()
      for (key, value) in members { object[key] = value }
      return .object(object)
    }
    let kinds: JSON = [object(first.merging(searching) { $1 }), sliding]
    Self.expect(document["attention"] ?? .null, object(first.merging(["kinds": kinds]) { $1 }), "attention")
    Self.expect(
      document["experts"] ?? .null,
      ["routed": 4, "per_token": 2, "shared": 1, "layers": 5, "topk_method": "noaux_tc"], "experts")
    Self.expect(
      document["parameters"] ?? .null,
      [
        "total": 53611, "active": .size(53611 - 14400 / 4 * 2),
        "active_in_layers": .size(53611 - 14400 / 4 * 2 - 2 * 61 * 40),
      ], "parameters")
    // Latent, rotated key and the search's key; latent and rotated key.
    let values = 3 * (13 + 4 + 9) + 3 * (15 + 6)
    #expect(document["cache"]?["values_per_token"] == .size(values))
    #expect(document["cache"]?["bytes_per_token"]?["f32"] == .size(4 * values))
    #expect(
      document["cache"]?["plain_attention_bytes_per_token"]?["bf16"]
        == .size(2 * (3 * 3 * (7 + 4 + 5) + 3 * 2 * (8 + 6 + 6))))
    Self.expect(document["weights"]?["types"] ?? .null, ["BF16": 107_182, "F32": 80], "types")
  }

  // MARK: - Memory

  @Test func everyPartOfThePlanIsTold() throws {
    let folder = try ModelFolder(Self.path(Runs.model))
    let limits: [(UInt64?, Bool, Int)] = [(nil, true, 64 * 64 * 448), (12_345, true, 12_345), (nil, false, 0)]
    for ((limit, shares, prefixes), withoutWeights) in limits.flatMap({ [($0, false), ($0, true)] }) {
      let engine = try Runs.engine {
        ($0.prefixCacheLimit, $0.sharesPrefixes, $0.withoutWeights) = (limit, shares, withoutWeights)
      }
      let model = try folder.plan(DecoderOptions(batch: 16), threadCount: 2, kernels: engine.kernels)
      for (context, pages) in [(1, 1), (64, 1), (65, 2), (300, 5), (1024, 16)] {
        var options = SessionOptions()
        options.contextLength = context
        let weights = model.weightByteCount + model.floatByteCount
        // Tokens and logits of four bytes, and the pages' addresses.
        let working =
          model.scratchByteCount + model.threadScratchByteCount + 4 * context + 4 * Runs.vocabularySize + 8 * pages
        let cache = pages * 64 * 448
        Self.expect(
          try engine.plan(for: options).json,
          [
            "weights": .size(weights), "towers": 0, "speech_model": 0, "cache": .size(cache),
            "working_memory": .size(working), "prefix_cache": .size(prefixes),
            "total": .size(weights + cache + working + prefixes),
          ], "\(context) tokens")
      }
    }
  }

  /// Towers and a speech model are parts of their own.
  @Test func towersAndSpeechModelsArePlanned() throws {
    let path = MediaChatTests.folder
    let engine = try MediaChats.engine(path) {
      $0.withoutWeights = true
      $0.media.speechModel = Fixtures.path("Fixtures/whisper/good-multilingual")
    }
    let towers = try #require(try engine.towers())
    let plan = try engine.plan(for: SessionOptions())
    let document = plan.json
    #expect(document["towers"] == .size(towers.weightByteCount + towers.floatByteCount))
    #expect(document["speech_model"] == .integer(Int64(plan.speechBytes)) && plan.speechBytes > 0)
    let parts = ["weights", "towers", "speech_model", "cache", "working_memory", "prefix_cache"]
    #expect(document["total"]?.integerValue == parts.reduce(0) { $0 + (document[$1]?.integerValue ?? -1) })
    #expect(plan.neededBytes == plan.totalBytes - plan.prefixBytes)
  }

  // MARK: - What was done

  /// Two sessions, one after the other: the second finds all that the first has left, but for its prompt's last token.
  @Test func everyNumberOfTheStatistics() throws {
    let engine = try Runs.engine()
    let prompt = Runs.tokens(70, seed: 1)
    _ = try Runs.generate(Runs.session(engine), prompt, 5)
    let session = try Runs.session(engine)
    _ = try Runs.generate(session, prompt, 3)
    let document = try engine.statistics()
    var seconds: [String: JSON] = [:]
    for kind in ["prompt", "mixed", "generation", "waiting"] {
      let value = try #require(document["seconds"]?[kind])
      #expect(kind == "mixed" ? value.doubleValue == 0 : value.doubleValue ?? 0 > 0)
      seconds[kind] = value
    }
    let known = engine.memoryBudget
    Self.expect(
      document,
      [
        "sessions": [
          "working": 0, "waiting": 0, "entered": 2, "left": 2, "refused": 0, "cancelled": 0, "failed": 0,
        ],
        // A prompt each, and four tokens and two behind their first.
        "steps": ["count": 8, "mean_batch": .number(1), "largest_batch": 1],
        "tokens": ["prompt": 71, "generated": 6],
        "seconds": [
          "prompt": seconds["prompt"] ?? .null, "mixed": .number(0), "generation": seconds["generation"] ?? .null,
          "waiting": seconds["waiting"] ?? .null,
        ],
        "cache": [
          "f32": [
            "page_tokens": 64, "page_bytes": .size(64 * 448),
            // The tree's two, and a copy of the one in which the second session went on.
            "used": 3, "shared": 1, "free": 0, "prefix_pages": 2, "prefix_evicted": 0,
            "tokens_asked": 138, "tokens_found": 69, "hit_rate": .number(0.5),
          ]
        ],
        "memory": ["used": .size(Int(known.usedByteCount)), "peak": .size(Int(known.peakByteCount))],
      ], "the statistics")
    withExtendedLifetime(session) {}
  }

  /// A session's step is counted once for each piece of its prompt and for each token behind its first, whoever else is
  /// in it.
  @Test func theMeanBatchIsThatOfAllSteps() throws {
    let engine = try Runs.engine {
      $0.batchLimit = 4
      $0.promptTokensPerStep = 13
    }
    let (threads, own) = (Threads(), Locked((steps: 0, prompt: 0, shared: 0)))
    for index in 0..<6 {
      try threads.start {
        let events = try Runs.generate(Runs.session(engine), Runs.tokens(90, seed: index), 20).events
        let last = events.last?.counts ?? GenerationEvent.Counts()
        own.withLock {
          $0.steps += events.count { $0.kind == .prompt } + last.generatedTokens - 1
          $0.prompt += last.promptTokens
          $0.shared += last.promptShared
        }
      }
    }
    threads.join()
    let expected = own.withLock { $0 }
    let document = try engine.statistics()
    let steps = try #require(document["steps"]?["count"]?.integerValue)
    let mean = try #require(document["steps"]?["mean_batch"]?.doubleValue)
    #expect(mean == Double(expected.steps) / Double(steps) && mean > 1)
    #expect(document["tokens"]?["prompt"] == .size(expected.prompt - expected.shared))
    #expect(document["tokens"]?["generated"] == .size(6 * 19))
  }

  // MARK: - Events

  /// What an event tells but for its seconds.
  private struct Told: Equatable {
    let kind: GenerationEvent.Kind
    let finishReason: GenerationEvent.FinishReason?
    let hasToken: Bool
    let hasProbability: Bool
    let alternatives: Int
    /// Tokens, done, reused, shared, generated, transcribed.
    let counts: [Int]
    let media: MediaCounts

    init(_ event: GenerationEvent) {
      kind = event.kind
      finishReason = event.finishReason
      hasToken = event.token >= 0
      hasProbability = event.logProbability != 0
      alternatives = event.alternatives.count
      let own = event.counts
      counts = [
        own.promptTokens, own.promptDone, own.promptReused, own.promptShared, own.generatedTokens,
        own.transcribedTokens,
      ]
      media = own.mediaTokens
    }

    init(
      _ kind: GenerationEvent.Kind, _ counts: [Int], media: MediaCounts = MediaCounts(),
      _ finishReason: GenerationEvent.FinishReason? = nil
    ) {
      self.kind = kind
      self.finishReason = finishReason
      hasToken = kind == .token
      hasProbability = kind == .token
      alternatives = kind == .token ? 2 : 0
      self.counts = counts
      self.media = media
    }
  }

  /// A chat that finds a part of its prompt in its session, one that finds it in another session's, and one cut short by
  /// what ends it.
  @Test func everyCountOfEveryEvent() throws {
    let engine = try Engine(path: Fixtures.shippedModel, options: EngineOptions())
    let long = String(repeating: "the quick brown fox. ", count: 20)
    func events(_ session: Session, _ last: String, _ more: String) throws -> [Told] {
      var events: [Told] = []
      _ = try session.chat(
        messages: #"[{"role": "user", "content": "\#(long)\#(last)"}]"#,
        configuration: #"{"logprobs": 2, "ignore_eos": true\#(more)}"#
      ) {
        events.append(Told($0))
        return 0
      }
      return events
    }
    func ids(_ last: String) throws -> [Int32] {
      try engine.tokenize(messages: #"[{"role": "user", "content": "\#(long)\#(last)"}]"#)
    }
    let (one, two) = (try ids("One?"), try ids("Two?"))
    let common = zip(one, two).prefix { $0 == $1 }.count
    func told(_ count: Int, reused: Int = 0, shared: Int = 0, reason: GenerationEvent.FinishReason) -> [Told] {
      func counts(_ generated: Int) -> [Int] { [count, count, reused, shared, generated, 0] }
      return [
        Told(.prompt, counts(0)), Told(.token, counts(1)), Told(.token, counts(2)), Told(.end, counts(2), reason),
      ]
    }
    let session = try Session(engine: engine, options: SessionOptions())
    #expect(try events(session, "One?", #", "max_tokens": 2"#) == told(one.count, reason: .length))
    #expect(
      try events(session, "Two?", #", "max_tokens": 2"#) == told(two.count, reused: common, reason: .length))
    var options = SessionOptions()
    options.contextLength = one.count + 2
    let other = try Session(engine: engine, options: options)
    // Whole pages of what the first one held.
    #expect(
      try events(other, "One?", "")
        == told(one.count, shared: min(one.count - 1, (one.count + 1) / 64 * 64), reason: .context))
  }

  @Test func eventsHaveTheNumbersOfTheHeader() {
    let kinds: [GenerationEvent.Kind] = [.prompt, .token, .end]
    let reasons: [GenerationEvent.FinishReason] = [.stop, .length, .context, .time]
    #expect(kinds.map(\.rawValue) == [1, 2, 3] && reasons.map(\.rawValue) == [1, 2, 3, 4])
  }

  /// A part of an encoding each: the embedding, three layers, the projector; then the prompt, and one token behind the
  /// first.
  @Test func encodingsTakeAStepForEachPart() throws {
    let engine = try MediaChats.engine(MediaChatTests.folder)
    let conversation = try #require(MediaChatTests.conversations.first { $0.name == "image" })
    let counts = try MediaChats.chat(try MediaChats.session(engine), conversation, maxTokens: 2).counts
    let document = try engine.statistics()
    #expect(document["steps"]?["count"] == .size(5 + 1 + 1))
    #expect(document["tokens"]?["prompt"] == .size(conversation.ids.count))
    #expect(document["sessions"]?["entered"] == 1)
    var media = MediaCounts()
    media.image = conversation.ids.count { $0 == 282 }
    #expect(counts.mediaTokens == media)
  }
}
