import DormouseModel
import DormouseSupport
import Testing

/// What YaRN's optional members mean where they stand twice, or as 0 (transformers 5.23, `modeling_rope_utils.py`).
@Suite struct RopeConfigurationTests {
  private func rope(_ change: (inout JSONObject, inout JSONObject) -> Void) throws -> RopeConfiguration {
    var document = try #require(try File.readJSON(Fixtures.path("config/good-v3.json")).objectValue)
    var scaling = try #require(document["rope_scaling"]?.objectValue)
    change(&document, &scaling)
    document["rope_scaling"] = .object(scaling)
    return try ModelConfiguration(json: .object(document), file: "config.json").attention.rope
  }

  /// Factor 40: 0.1 ln 40 + 1.
  @Test(arguments: [(0.5, 0.0), (0.0, 0.5), (0.0, 0.0)])
  func mscalesOfZeroAreAsIfTheyWereNotThere(_ mscale: Double, _ ofAll: Double) throws {
    let found = try rope { _, scaling in
      scaling["mscale"] = .number(mscale)
      scaling["mscale_all_dim"] = .number(ofAll)
    }
    #expect(abs(found.attentionFactor - 1.36888794541) < 1e-9)
  }

  @Test func theQuotientOfBothMscalesIsTheFactor() throws {
    let found = try rope { _, scaling in
      scaling["mscale"] = 0.5
      scaling["mscale_all_dim"] = 0.25
    }
    #expect(abs(found.attentionFactor - 1.18444397270 / 1.09222198635) < 1e-9)
    #expect(abs(found.softmaxFactor - 1.09222198635 * 1.09222198635) < 1e-9)
  }

  @Test func positionsBesideTheScalingWinOverThoseInside() throws {
    let both = try rope { document, scaling in
      document["original_max_position_embeddings"] = 2048
      scaling["original_max_position_embeddings"] = 4096
    }
    #expect(both.yarn?.originalMaximumPositions == 2048)
    let inside = try rope { _, scaling in scaling["original_max_position_embeddings"] = 1024 }
    #expect(inside.yarn?.originalMaximumPositions == 1024)
  }
}
