import DormouseSupport
import Testing

@testable import DormouseEngine

/// What a host sets for all answers of an engine.
@Suite struct ConfiguredDefaultsTests {
  private static let folder = Fixtures.path("Fixtures/models/\(Runs.model)")

  private func read(_ defaults: String?, _ call: String?) throws -> GenerationRequest {
    try GenerationRequest.read(
      call, over: ConfiguredDefaults(json: defaults, folder: Self.folder),
      defaults: SamplingParameters(temperature: 0.6, topK: 7), vocabularySize: Runs.vocabularySize)
  }

  @Test func theyStandBetweenTheModelAndTheCall() throws {
    let defaults = #"{"temperature": 0.2, "top_p": 0.5, "max_tokens": 9, "stop": ["a"], "logit_bias": {"1": 2}}"#
    let untouched = try read(defaults, nil)
    #expect(untouched.sampling.temperature == 0.2 && untouched.sampling.topK == 7 && untouched.sampling.topP == 0.5)
    #expect(untouched.maxTokens == 9 && untouched.stop == ["a"] && untouched.sampling.logitBias == [1: 2])
    let call = try read(defaults, #"{"temperature": 0.9, "max_tokens": null, "stop": "b", "logit_bias": {"3": 4}}"#)
    #expect(call.sampling.temperature == 0.9 && call.sampling.topK == 7 && call.sampling.topP == 0.5)
    // Null is as if it were not there, and a member stands for itself: lists are not joined.
    #expect(call.maxTokens == 9 && call.stop == ["b"] && call.sampling.logitBias == [3: 4])
    #expect(try read("{}", #"{"seed": 3}"#) == read(nil, #"{"seed": 3}"#))
  }

  @Test func aCallsReasoningIsItsOwn() throws {
    #expect(try read(#"{"thinking": true}"#, nil).answer.reasons == true)
    #expect(try read(#"{"thinking": true}"#, #"{"reasoning_effort": "none"}"#).answer.reasons == false)
    #expect(try read(#"{"reasoning_effort": "low"}"#, #"{"thinking": false}"#).answer.reasoningEffort == nil)
  }

  @Test(arguments: [
    ("[]", "expected an object"), (#"{"temprature": 1}"#, "temprature is not a known member"),
    (#"{"top_p": 2}"#, "top_p is 2"), (#"{"stop_token_ids": [97]}"#, "stop_token_ids[0] is 97"),
    (#"{"logit_bias": {"97": 1}}"#, "'97'"), (#"{"stop": ""}"#, "stop holds an empty string"),
    (#"{"constraint": {"regex": "a"}}"#, "constraint is no default"),
    (#"{"response_format": {"type": "text"}}"#, "response_format is no default"),
    (#"{"tools": []}"#, "tools is no default"), (#"{"tool_choice": "auto"}"#, "tool_choice is no default"),
    (#"{"logprobs": 2}"#, "logprobs is no default"),
  ]) func theMemberAtFaultIsNamedWhenTheEngineOpens(_ json: String, _ fragment: String) throws {
    for withoutWeights in [false, true] {
      #expect {
        try Runs.engine {
          $0.generationDefaults = json
          $0.withoutWeights = withoutWeights
        }
      } throws: { error in
        (error as? Failure)?.status == .invalidArgument && "\(error)".contains("generation_defaults: ")
          && "\(error)".contains(fragment)
      }
    }
  }

  @Test func answersFollowThem() throws {
    let engine = try Runs.engine { $0.generationDefaults = #"{"max_tokens": 3, "ignore_eos": true}"# }
    let session = try Runs.session(engine)
    var last: GenerationEvent?
    _ = try session.generate([1, 2, 3], configuration: nil) {
      last = $0
      return 0
    }
    #expect(last?.counts.generatedTokens == 3 && last?.finishReason == .length)
    _ = try session.generate([1], configuration: #"{"max_tokens": 5}"#) {
      last = $0
      return 0
    }
    #expect(last?.counts.generatedTokens == 5)
  }
}
