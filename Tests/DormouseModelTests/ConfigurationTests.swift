import DormouseModel
import DormouseSupport
import Testing

@Suite struct ConfigurationTests {
  static let expected: JSON = (try? File.readJSON(Fixtures.path("config/expected.json"))) ?? .null

  static func entries(_ key: String) -> [JSON] { expected[key]?.arrayValue ?? [] }

  static func document(_ name: String) throws -> ModelConfiguration {
    try ModelConfiguration(json: File.readJSON(Fixtures.path("config/\(name)")), file: name)
  }

  @Test func listsAreThere() {
    #expect(Self.entries("good").count >= 9)
    #expect(Self.entries("bad").count >= 60)
  }

  @Test(arguments: entries("good"))
  func readsPublishedDocuments(_ entry: JSON) throws {
    let name = entry["file"]?.stringValue ?? ""
    let configuration = try Self.document(name)
    #expect(
      Int64(configuration.cacheByteCountPerToken(.bfloat16)) == entry["latent"]?.integerValue, "\(name)")
    #expect(
      Int64(configuration.plainCacheByteCountPerToken(elementByteCount: 2)) == entry["plain"]?.integerValue, "\(name)")
    let count = try configuration.parameterCount()
    #expect(Self.isAbout(count.total, entry["total"]), "\(name): \(count)")
    #expect(Self.isAbout(count.active, entry["active"]), "\(name): \(count)")
  }

  /// Published figures have two to four digits; some leave out the embedding.
  static func isAbout(_ count: Int, _ billions: JSON?) -> Bool {
    guard let published = billions?.doubleValue else { return false }
    return abs(Double(count) / 1e9 - published) <= published * 0.03
  }

  @Test(arguments: entries("bad"))
  func refusesBadDocuments(_ entry: JSON) throws {
    let name = entry["file"]?.stringValue ?? ""
    do throws(Failure) {
      let json = try File.readJSON(Fixtures.path("config/\(name)"))
      _ = try ModelConfiguration(json: json, file: name)
      Issue.record("\(name) is accepted")
    } catch {
      #expect("\(error.status)" == entry["status"]?.stringValue, "\(name): \(error.message)")
      #expect(error.message.hasPrefix(name), "\(error.message)")
      for mention in (entry["mentions"]?.arrayValue ?? []).compactMap(\.stringValue) {
        #expect(error.message.contains(mention), "\(name): \(error.message)")
      }
    }
  }

  @Test func readsDeepSeekV3() throws {
    let c = try Self.document("good-v3.json")
    #expect(c.architecture == .deepseekV3)
    #expect((c.hiddenLayerCount, c.attentionHeadCount) == (61, 128))
    #expect((c.qLoraRank, c.kvLoraRank) == (1536, 512))
    #expect((c.qkNopeHeadDimension, c.qkRopeHeadDimension, c.vHeadDimension) == (128, 64, 128))
    #expect(c.feedForward.prefix(3) == [.dense, .dense, .dense])
    #expect(c.feedForward.count { $0 == .experts } == 58)
    #expect((c.router.groupCount, c.router.selectedGroupCount, c.router.scalingFactor) == (8, 4, 2.5))
    #expect(c.router.normalizesWeights && c.ropeInterleaved && !c.attentionBias && !c.tiesWordEmbeddings)
    #expect(c.nextTokenLayerCount == 1)
    #expect((c.quantization?.rowBlock, c.quantization?.columnBlock) == (128, 128))
    #expect(c.quantization?.powerOfTwoScales == false)
    let newer = try Self.document("good-v3.1.json")
    #expect(newer.quantization?.powerOfTwoScales == true)
  }

  @Test func bothRopeSpellingsAreTheSame() throws {
    let published = try Self.document("good-v3.json")
    let native = try Self.document("good-v3-rope-parameters.json")
    #expect(published.rope == native.rope)
  }

  /// The softmax scale's YaRN factor: 1.87 for V3, 1.59 for V2-Lite, none for Moonlight.
  @Test(arguments: [
    ("v3", 1.87385, 192.0), ("v2-lite", 1.58963, 192.0), ("moonlight", 1, 192), ("glm-4.7-flash", 1, 256),
  ])
  func softmaxScale(_ name: String, _ factor: Double, _ dimension: Double) throws {
    let configuration = try Self.document("good-\(name).json")
    #expect(abs(configuration.rope.softmaxFactor - factor) < 1e-4)
    #expect(configuration.rope.attentionFactor == 1)
    #expect(abs(Double(configuration.softmaxScale) - factor / dimension.squareRoot()) < 1e-5)
  }

  /// From `_compute_yarn_parameters` of transformers 5.23 for V3: plain below the ramp, divided by 40 above it.
  @Test func inverseFrequencies() throws {
    let frequencies = try Self.document("good-v3.json").rope.inverseFrequencies(dimension: 64)
    #expect(frequencies.count == 32)
    #expect(frequencies[0] == 1)
    #expect(frequencies[9] == 0.07498941570520401)
    #expect(frequencies[12] == 0.026879360899329185)
    #expect(frequencies[31] == 3.3338035336782923e-06)
  }

  @Test func parametersOfAttentionAreCounted() throws {
    // kv_a 2048*576 + norm 512 + kv_b 512*4096 + o 2048*2048 + q 2048*3072 + two norms, 27 layers.
    let attention = 2048 * 576 + 512 + 512 * 4096 + 2048 * 2048 + 2048 * 3072 + 2 * 2048
    let experts = 66 * 3 * 2048 * 1408 + 64 * 2048
    let dense = 3 * 2048 * 10944
    let expected = 27 * attention + 26 * experts + dense + 2 * 102400 * 2048 + 2048
    let count = try Self.document("good-v2-lite.json").parameterCount()
    #expect(count.total == expected)
  }
}
