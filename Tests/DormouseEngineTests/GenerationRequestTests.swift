import DormouseSupport
import Testing

@testable import DormouseEngine

@Suite struct GenerationRequestTests {
  private func read(_ json: String?) throws -> GenerationRequest {
    try GenerationRequest.read(json, defaults: SamplingParameters(temperature: 0.6), vocabularySize: 100)
  }

  @Test func readsEveryMember() throws {
    let request = try read(
      """
      {"max_tokens": 5, "temperature": 0.7, "top_k": 3, "top_p": 0.9, "min_p": 0.1, "repetition_penalty": 1.1,
       "presence_penalty": -1, "frequency_penalty": 2, "logit_bias": {"7": -100, "99": 0.5}, "seed": -1,
       "stop": ["a", "b"], "logprobs": 3, "ignore_eos": true, "stop_token_ids": [0, 99, 0]}
      """)
    #expect(request.maxTokens == 5)
    #expect(request.sampling.temperature == 0.7)
    #expect(request.sampling.topK == 3)
    #expect(request.sampling.topP == 0.9)
    #expect(request.sampling.minP == 0.1)
    #expect(request.sampling.repetitionPenalty == 1.1)
    #expect(request.sampling.presencePenalty == -1)
    #expect(request.sampling.frequencyPenalty == 2)
    #expect(request.sampling.logitBias == [7: -100, 99: 0.5])
    #expect(request.sampling.seed == .max)
    #expect(request.stop == ["a", "b"])
    #expect(request.logProbabilityAlternatives == 3)
    #expect(request.ignoresEndTokens)
    #expect(request.stopTokens == [0, 99])
  }

  @Test func whatIsMissingOrNullComesFromTheModel() throws {
    #expect(try read(nil).sampling.temperature == 0.6)
    #expect(try read(#"{"temperature": null, "stop": "x"}"#).sampling.temperature == 0.6)
    #expect(try read(#"{"stop": "x"}"#).stop == ["x"])
    #expect(try read(#"{"logprobs": -1}"#).logProbabilityAlternatives == 0)
    #expect(try read(#"{"logprobs": 0}"#).logProbabilityAlternatives == nil)
  }

  @Test(arguments: [
    ("[]", "expected an object"), ("{", "not valid JSON"), (#"{"max_tokens": 0}"#, "max_tokens is"),
    (#"{"temperature": -1}"#, "temperature is -1; expected a number from 0.0 to 100.0"),
    (#"{"temperature": "hot"}"#, "temperature is"), (#"{"top_k": 1.5}"#, "top_k is"), (#"{"top_p": 0}"#, "top_p is"),
    (#"{"top_p": 1.01}"#, "top_p is"), (#"{"min_p": 2}"#, "min_p is"),
    (#"{"repetition_penalty": 0}"#, "repetition_penalty is"), (#"{"logit_bias": {"100": 1}}"#, "'100'"),
    (#"{"logit_bias": {"x": 1}}"#, "'x'"), (#"{"logit_bias": {"1": 101}}"#, "logit_bias is"),
    (#"{"logit_bias": [1]}"#, "logit_bias is"), (#"{"stop": [1]}"#, "stop is"), (#"{"stop": ""}"#, "empty string"),
    (#"{"stop": ["1","2","3","4","5","6","7","8","9","10","11","12","13","14","15","16","17"]}"#, "at most 16"),
    (#"{"logprobs": 21}"#, "logprobs is"), (#"{"ignore_eos": 1}"#, "ignore_eos is"), (#"{"seed": 1.5}"#, "seed is"),
    (#"{"stop_token_ids": 5}"#, "stop_token_ids is 5; expected an array"),
    (#"{"stop_token_ids": [1, 100]}"#, "stop_token_ids[1] is 100; expected a token id below 100"),
    (#"{"stop_token_ids": [-1]}"#, "stop_token_ids[0] is -1"), (#"{"stop_token_ids": ["a"]}"#, "stop_token_ids[0] is"),
    (#"{"temprature": 1}"#, "temprature is not a known member"),
  ])
  func namesTheMemberAtFault(json: String, fragment: String) {
    #expect { try read(json) } throws: { error in
      (error as? Failure)?.status == .invalidArgument && "\(error)".contains(fragment)
    }
  }

  /// Up to each limit, and no further.
  @Test func limitsAreMetExactly() throws {
    func list(_ count: Int, _ element: String) -> String {
      "[" + [String](repeating: element, count: count).joined(separator: ", ") + "]"
    }
    for (fitting, beyond) in [
      (#"{"stop": \#(list(16, #""x""#))}"#, #"{"stop": \#(list(17, #""x""#))}"#),
      (#"{"stop_token_ids": \#(list(1024, "7"))}"#, #"{"stop_token_ids": \#(list(1025, "7"))}"#),
      (#"{"logprobs": 20}"#, #"{"logprobs": 21}"#), (#"{"logprobs": -1}"#, #"{"logprobs": -2}"#),
      (#"{"max_tokens": 1}"#, #"{"max_tokens": 0}"#),
      (#"{"max_tokens": 2147483647}"#, #"{"max_tokens": 2147483648}"#),
      (#"{"logit_bias": {"99": 100}}"#, #"{"logit_bias": {"99": 100.5}}"#),
      (#"{"logit_bias": {"0": -100}}"#, #"{"logit_bias": {"0": -100.5}}"#),
      (#"{"priority": 100}"#, #"{"priority": 101}"#), (#"{"priority": -100}"#, #"{"priority": -101}"#),
      (#"{"time_limit": 1e9}"#, #"{"time_limit": 1.1e9}"#), (#"{"top_k": 0}"#, #"{"top_k": -1}"#),
      (#"{"top_p": 1}"#, #"{"top_p": 1.1}"#), (#"{"min_p": 1}"#, #"{"min_p": 1.1}"#),
      (#"{"temperature": 100}"#, #"{"temperature": 100.5}"#),
      (#"{"repetition_penalty": 100}"#, #"{"repetition_penalty": 100.5}"#),
      (#"{"presence_penalty": -100}"#, #"{"presence_penalty": -100.5}"#),
      (#"{"frequency_penalty": 100}"#, #"{"frequency_penalty": 100.5}"#),
    ] {
      _ = try read(fitting)
      #expect(Runs.status { _ = try read(beyond) } == .invalidArgument, "\(beyond.prefix(40))")
    }
  }
}

@Suite struct ChatRequestTests {
  @Test func readsAnArrayOrAnObject() throws {
    let list = try ChatRequest(json: #"[{"role": "user", "content": "hi"}]"#)
    #expect(list.messages.arrayValue?.count == 1)
    #expect(list.variables["add_generation_prompt"] == true)
    let object = try ChatRequest(
      json: #"{"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}], "tools": [{}],"#
        + #" "add_generation_prompt": false, "template_variables": {"thinking": true}}"#)
    #expect(object.messages == [["role": "user", "content": "hi"]])
    #expect(object.variables["add_generation_prompt"] == false)
    #expect(object.variables["thinking"] == true)
    #expect(object.variables["tools"] == [[:]])
  }

  @Test(arguments: [
    ("[]", "at least one message"), ("{}", "messages is missing"), (#"[1]"#, "message 0 must be an object"),
    (#"[{"content": "x"}]"#, "role must"), (#"[{"role": "user", "content": 5}]"#, "content must"),
    (#"[{"role": "user", "content": [{"text": "x"}]}]"#, "type must"),
    (#"[{"role": "user", "content": [{"type": "text"}]}]"#, "text is missing; expected a string"),
    (#"{"messages": [{"role": "user", "content": "x"}], "tools": 1}"#, "tools is"),
    (#"{"messages": [{"role": "user", "content": "x"}], "stream": true}"#, "stream is not a known member"),
  ])
  func namesThePlaceAtFault(json: String, fragment: String) {
    #expect { try ChatRequest(json: json) } throws: { error in
      (error as? Failure)?.status == .invalidArgument && "\(error)".contains(fragment)
    }
  }

  private static func media(_ part: String) throws -> [MediaPart] {
    try ChatRequest(json: #"[{"role": "user", "content": [{"type": "text", "text": "a"}, "# + part + "]}]").mediaParts
  }

  @Test func readsMediaParts() throws {
    let request = try ChatRequest(
      json: #"[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,QUI="}},"#
        + #" {"type": "text", "text": "b"}, {"type": "video_url", "video_url": {"url": "file:///c.mp4", "fps": 0.5}},"#
        + #" {"type": "input_audio", "input_audio": {"data": "QUI=", "format": "wav"}}]},"#
        + #" {"role": "user", "content": [{"type": "image_url", "image_url": "attachment:3"}]}]"#)
    #expect(
      request.mediaParts.map(\.source) == [
        .reference("data:image/png;base64,QUI="), .reference("file:///c.mp4"), .base64("QUI="), .attachment(3),
      ])
    #expect(request.mediaParts.map(\.modality) == [.image, .video, .audio, .image])
    #expect(request.mediaParts.map(\.framesPerSecond) == [nil, 0.5, nil, nil])
    #expect(request.messages.arrayValue?.first?["content"]?.arrayValue?.first == ["type": "image", "image": ""])
    #expect(try Self.media(#"{"type": "image_url", "image_url": "a/b.png"}"#).first?.source == .reference("a/b.png"))
  }

  @Test(arguments: [
    (#"{"type": "image"}"#, "parts of type 'image' are not known", Status.unsupported),
    (#"{"type": "image_url"}"#, "part 1: image_url is missing", .invalidArgument),
    (#"{"type": "image_url", "image_url": {}}"#, "image_url.url is missing", .invalidArgument),
    (#"{"type": "image_url", "image_url": {"url": 5}}"#, "image_url.url is 5", .invalidArgument),
    (#"{"type": "image_url", "image_url": {"url": "x", "fps": 1}}"#, "fps is not a known member", .invalidArgument),
    (#"{"type": "video_url", "video_url": {"url": "x", "fps": 0}}"#, "video_url.fps is 0", .invalidArgument),
    (#"{"type": "image_url", "image_url": "attachment:-1"}"#, "attachment:NUMBER", .invalidArgument),
    (#"{"type": "input_audio", "input_audio": {"url": "x", "speed": 2}}"#, "speed is not a known", .invalidArgument),
  ])
  func namesTheMediaPartAtFault(part: String, fragment: String, status: Status) {
    #expect { try Self.media(part) } throws: { error in
      (error as? Failure)?.status == status && "\(error)".contains(fragment) && "\(error)".contains("message 0, part 1")
    }
  }
}
