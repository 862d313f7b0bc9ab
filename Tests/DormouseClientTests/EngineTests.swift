import DormouseClient
import Synchronization
import Testing

@Suite struct EngineTests {
  @Test func theShippedModelTellsWhatItIs() throws {
    let engine = try Fixtures.engine { $0.weights = .int8 }
    let info = try engine.info()
    #expect(info["path"]?.string == Fixtures.shippedModel)
    #expect(info["weights", "precision"]?.string == "int8")
    #expect(info["threads"]?.integer == 2)
    #expect(info["modalities"]?.strings == ["text"])
    #expect(info["experts", "routed"]?.integer ?? 0 > 0)
    #expect(info["no", "such", "member"] == nil)
    #expect(info.text.hasPrefix("{"))
    #expect(try engine.statistics()["tokens", "generated"]?.integer == 0)
  }

  @Test func aLongerSessionTakesMoreMemory() throws {
    let engine = try Fixtures.engine { $0.withoutWeights = true }
    var options = OpenSession.Options()
    options.contextLength = 64
    let short = try #require(engine.plan(options)["cache"]?.integer)
    options.contextLength = 128
    #expect(try engine.plan(options)["cache"]?.integer == 2 * short)
    options.cache = .bf16
    #expect(try engine.plan(options)["cache"]?.integer == short)
  }

  @Test func textBecomesTokensAndTextAgain() throws {
    let engine = try Fixtures.engine { $0.withoutWeights = true }
    let text = Array("What is 7 plus 5?".utf8)
    let ids = try engine.tokenize(text)
    #expect(try engine.detokenize(ids) == text)
    #expect(try engine.tokenize([]) == [])
    let prompt = try engine.tokenize(messages: Fixtures.question)
    #expect(prompt.count > ids.count)
    let rendered = try engine.render(messages: Fixtures.question)
    #expect(rendered.starts(with: try engine.detokenize(prompt)) && !rendered.isEmpty)
    #expect(try engine.tokenize(rendered, parsesSpecial: true) == prompt)
    #expect(try engine.tokenize(rendered).count > prompt.count)
    #expect(try engine.detokenize(prompt, skipsSpecial: true).count < rendered.count)
  }

  @Test func loadingTellsHowFarItIsAndStopsWhenAsked() throws {
    let last = Mutex((done: UInt64(0), total: UInt64(1)))
    _ = try Fixtures.engine {
      $0.progress = { done, total in
        last.withLock { $0 = (done, total) }
        return true
      }
    }
    #expect(last.withLock { $0.done == $0.total })
    let error = #expect(throws: DormouseError.self) { try Fixtures.engine { $0.progress = { _, _ in false } } }
    #expect(error?.status == .cancelled)
  }

  /// A folder that can't be written into is no failure: it goes to the log alone.
  @Test func theLogTellsWhatFailsBesides() throws {
    let messages = Mutex<[String]>([])
    do {
      let engine = try Fixtures.engine {
        $0.weights = .int8
        $0.packedCacheFolder = "/proc/none"
        $0.log = { level, message in
          if level <= .warning { messages.withLock { $0.append(message) } }
        }
      }
      // The session outlives what opened its engine.
      _ = try OpenSession(engine)
    }
    #expect(messages.withLock { $0.contains { $0.contains("/proc/none") } })
  }

  @Test func failuresHaveAStatusAndASentence() throws {
    let missing = #expect(throws: DormouseError.self) { try OpenEngine("/no/such/model") }
    #expect(missing?.status == .notFound && missing?.status.name == "NOT_FOUND")
    #expect(missing?.message.contains("/no/such/model") == true)
    let many = #expect(throws: DormouseError.self) { try Fixtures.engine { $0.threadCount = 5000 } }
    #expect(many?.status == .invalidArgument)
    let small = #expect(throws: DormouseError.self) { try Fixtures.engine { $0.memoryLimit = 1000 } }
    #expect(small?.status == .outOfMemory)
    let engine = try Fixtures.engine { $0.withoutWeights = true }
    #expect(throws: DormouseError.self) { try engine.detokenize([-1]) }
    let bare = #expect(throws: DormouseError.self) { try engine.statistics() }
    #expect(bare?.status == .unsupported)
    var media = OpenEngine.MediaOptions()
    media.roots = ["/no/such/folder"]
    let root = #expect(throws: DormouseError.self) { try Fixtures.engine { $0.media = media } }
    #expect(root?.message.contains("/no/such/folder") == true)
    #expect(DormouseError.Status(rawValue: -1000).name == "UNKNOWN")
  }

  @Test func theLibraryTellsOfItself() throws {
    #expect(Library.version.split(separator: ".").count == 3)
    let sets = try Library.instructionSets()
    let chosen = try #require(sets["chosen"]?.string)
    #expect(sets["usable"]?.strings?.contains(chosen) == true)
    try Library.force(instructionSet: nil)
    let error = #expect(throws: DormouseError.self) { try Library.force(instructionSet: "abacus") }
    #expect(error?.status == .invalidArgument && error?.message.contains("abacus") == true)
  }
}
