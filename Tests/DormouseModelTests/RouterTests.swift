import DormouseLayers
import DormouseModel
import DormouseSupport
import Testing

@Suite struct RouterTests {
  static let cases: [JSON] = {
    (try? File.readJSON(Fixtures.path("router/cases.json")))?.arrayValue ?? []
  }()

  static func route(
    _ router: Router, _ logits: [Float], bias: [Float]?, count: Int
  ) throws -> (ids: [Int32], weights: [Float]) {
    var ids = [Int32](repeating: -1, count: max(count, 0) * router.configuration.expertsPerToken)
    var weights = [Float](repeating: .nan, count: ids.count)
    try logits.withUnsafeBufferPointer { logits in
      try ids.withUnsafeMutableBufferPointer { ids in
        try weights.withUnsafeMutableBufferPointer { weights in
          if let bias {
            try bias.withUnsafeBufferPointer { bias in
              try router.route(logits: logits, bias: bias, count: count, ids: ids, weights: weights)
            }
          } else {
            try router.route(logits: logits, bias: nil, count: count, ids: ids, weights: weights)
          }
        }
      }
    }
    return (ids, weights)
  }

  @Test func casesAreThere() { #expect(Self.cases.count >= 10) }

  @Test(arguments: cases)
  func equalsTransformers(_ entry: JSON) throws {
    let name = entry["name"]?.stringValue ?? ""
    let golden = try TensorFile(Fixtures.path("router/golden.safetensors"))
    let router = try Router(json: entry["config"] ?? .null)
    let logits = try golden.floats("\(name).logits")
    let bias = golden.has("\(name).bias") ? try golden.floats("\(name).bias") : nil
    let count = logits.count / router.configuration.expertCount
    let (ids, weights) = try Self.route(router, logits, bias: bias, count: count)
    let expectedIds = try golden.integers("\(name).ids")
    let expectedWeights = try golden.floats("\(name).weights")
    let perToken = router.configuration.expertsPerToken
    for token in 0..<count {
      let range = token * perToken..<(token + 1) * perToken
      let sorted = range.sorted { ids[$0] < ids[$1] }
      #expect(sorted.map { ids[$0] } == Array(expectedIds[range]), "\(name), token \(token)")
      let error = relativeError(sorted.map { weights[$0] }, expectedWeights[range])
      #expect(error <= 2e-6, "\(name), token \(token): \(error)")
    }
  }

  @Test func equalScoresTakeTheLowerIndexAndBestComesFirst() throws {
    let router = try Router(json: [
      "scoring_func": "softmax", "topk_method": "greedy", "top_k": 3, "n_routed_experts": 5,
      "routed_scaling_factor": 1.0,
    ])
    let (ids, weights) = try Self.route(router, [1, 2, 1, 1, 0], bias: nil, count: 1)
    #expect(ids == [1, 0, 2])
    #expect(weights[1] == weights[2] && weights[0] > weights[1])
  }

  /// A NaN must not be passed over: it has to reach the logits, where it is noticed.
  @Test func notANumberIsChosen() throws {
    let router = try Router(json: Self.cases.first { $0["name"] == "kimi-k2" }?["config"] ?? .null)
    var logits = [Float](repeating: 0, count: 384)
    logits[200] = .nan
    let (ids, weights) = try Self.route(router, logits, bias: [Float](repeating: 0, count: 384), count: 1)
    #expect(ids[0] == 200)
    #expect(weights.filter(\.isNaN).count == 8)
    #expect(Set(ids).count == 8)
  }

  @Test func refusesArraysOfTheWrongSize() throws {
    let router = try Router(json: Self.cases.first { $0["name"] == "v3" }?["config"] ?? .null)
    let bias = [Float](repeating: 0, count: 256)
    #expect { try Self.route(router, [1, 2], bias: bias, count: 1) } throws: {
      "\($0)".contains("logits has 2 values; expected 1 x 256")
    }
    let logits = [Float](repeating: 0, count: 256)
    #expect { try Self.route(router, logits, bias: nil, count: 1) } throws: { "\($0)".contains("bias has 0 values") }
    #expect { try Self.route(router, logits, bias: [1], count: 1) } throws: { "\($0)".contains("bias has 1 values") }
    #expect { try Self.route(router, logits, bias: bias, count: -1) } throws: {
      ($0 as? Failure)?.status == .malformed || ($0 as? Failure)?.status == .invalidArgument
    }
  }

  @Test(arguments: [
    ("[]", "the document is an array"), ("{}", "n_routed_experts is missing"),
    (#"{"topk_method":"best","n_routed_experts":4}"#, "topk_method"),
    (#"{"scoring_func":"softmax","n_routed_experts":4,"top_k":5,"routed_scaling_factor":1}"#, "top_k is 5"),
    (
      #"{"scoring_func":"softmax","n_routed_experts":4,"top_k":2,"routed_scaling_factor":1,"norm_topk_prob":true}"#,
      "norm_topk_prob is true"
    ),
  ])
  func refusesBadDocuments(_ document: String, _ mention: String) throws {
    #expect { try Router(json: JSON.parse(document)) } throws: { "\($0)".contains(mention) }
  }

  /// Where all scores vanish the weights are 0, and no NaN.
  @Test func scoresOfZeroAreNormalisedToZero() throws {
    let router = Router(RouterConfiguration(ungrouped: 4, expertsPerToken: 2, scalingFactor: 1))
    let found = try Self.route(router, [-200, -200, -200, -200], bias: [0, 0, 0, 0], count: 1)
    #expect(found.weights == [0, 0] && found.ids == [0, 1])
  }
}

extension Router {
  fileprivate init(json: JSON) throws {
    self.init(try RouterConfiguration(try JSONFields(json, file: "router")))
  }
}
