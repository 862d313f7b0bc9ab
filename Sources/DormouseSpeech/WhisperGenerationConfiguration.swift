public import DormouseSupport

/// What a Whisper model does with its tokens: `generation_config.json`, and `config.json` for what is missing there.
public struct WhisperGenerationConfiguration: Sendable, Equatable {
  public struct Language: Sendable, Equatable {
    /// As the token has it: "en" for `<|en|>`.
    public let code: String
    public let token: Int32
  }

  /// decoder_start_token_id, `<|startoftranscript|>`.
  public let start: Int32
  /// eos_token_id, `<|endoftext|>`; ordinary tokens are below it.
  public let end: Int32
  public let padding: Int32
  /// `<|notimestamps|>`; timestamps follow it, and `<|nospeech|>` stands before it.
  public let noTimestamps: Int32
  /// prev_sot_token_id, `<|startofprev|>`: begins what was said before; nil where no file says.
  public let previous: Int32?
  /// Those that the model can tell apart, lowest token first; none for a model of English alone.
  public let languages: [Language]
  /// `<|transcribe|>` and `<|translate|>`; nil for a model of one language.
  public let transcribe: Int32?
  public let translate: Int32?
  /// Never written, and never written first.
  public let suppressed: [Int32]
  public let suppressedFirst: [Int32]
  /// forced_decoder_ids from position 1 on, for models without languages.
  public let forced: [Int32]
  /// max_initial_timestamp_index: the first timestamp at most, in steps of 20 ms.
  public let maximumInitialTimestamp: Int?
  /// max_length: tokens that a window gets beyond its prompt, until they fill the model's positions.
  public let maximumLength: Int

  /// The first timestamp, `<|0.00|>`.
  public var timestampBegin: Int32 { noTimestamps + 1 }
  var isMultilingual: Bool { !languages.isEmpty }

  /// - Parameters:
  ///   - generation: `generation_config.json`; nil where there is none.
  ///   - fields: `config.json`.
  /// - Throws: `Failure` naming file, field and value.
  public init(
    _ generation: JSONFields?, _ fields: JSONFields, _ configuration: WhisperConfiguration
  ) throws(Failure) {
    let vocabulary = configuration.vocabularySize
    let ids = 0...vocabulary - 1
    /// The file that has the field.
    func file(_ key: String) -> JSONFields {
      if let generation, generation.value(key) != nil { return generation }
      return fields
    }
    func token(_ key: String) throws(Failure) -> Int32? { try file(key).optionalInteger(key, ids).map { Int32($0) } }
    start = Int32(try file("decoder_start_token_id").integer("decoder_start_token_id", ids))
    end = Int32(try file("eos_token_id").integer("eos_token_id", ids))
    padding = try token("pad_token_id") ?? end
    // Something to say no speech with comes before, and at least one timestamp behind.
    let quiet = try (generation ?? fields).integer("no_timestamps_token_id", 1...max(1, vocabulary - 2))
    noTimestamps = Int32(quiet)
    previous = try token("prev_sot_token_id")
    suppressed = try Self.tokens("suppress_tokens", file("suppress_tokens"), ids)
    suppressedFirst = try Self.tokens("begin_suppress_tokens", file("begin_suppress_tokens"), ids)
    maximumInitialTimestamp = try file("max_initial_timestamp_index").optionalInteger(
      "max_initial_timestamp_index", 0...vocabulary)
    maximumLength =
      try generation?.optionalInteger("max_length", 1...1 << 20) ?? configuration.targetPositions
    let isMultilingual = try generation?.optionalBoolean("is_multilingual") ?? true
    languages = isMultilingual ? try Self.languages(generation, ids) : []
    let tasks = languages.isEmpty ? nil : try generation?.fields("task_to_id")
    transcribe = try tasks.map { (tasks) throws(Failure) in Int32(try tasks.integer("transcribe", ids)) }
    translate = try tasks.map { (tasks) throws(Failure) in Int32(try tasks.integer("translate", ids)) }
    forced = try Self.forced(file("forced_decoder_ids"), ids)
  }

  private static func tokens(
    _ key: String, _ fields: JSONFields, _ ids: ClosedRange<Int>
  ) throws(Failure) -> [Int32] {
    var result: [Int32] = []
    // Older files have -1 for none.
    for value in try fields.optionalArray(key) ?? [] where value.integerValue != -1 {
      guard let id = value.integerValue, let index = Int(exactly: id), ids.contains(index) else {
        throw fields.wrong(key, value, expected: "token ids from 0 to \(ids.upperBound)")
      }
      result.append(Int32(index))
    }
    return result
  }

  private static func languages(_ generation: JSONFields?, _ ids: ClosedRange<Int>) throws(Failure) -> [Language] {
    guard let table = try generation?.fields("lang_to_id") else { return [] }
    var result: [Language] = []
    for key in table.object.keys {
      let token = Int32(try table.integer(key, ids))
      guard key.utf8.count > 4, key.hasPrefix("<|"), key.hasSuffix("|>") else {
        throw table.wrong(key, .string(key), expected: "a token such as <|en|>")
      }
      result.append(Language(code: String(key.dropFirst(2).dropLast(2)), token: token))
    }
    return result.sorted { $0.token < $1.token }
  }

  /// The tokens at positions 1, 2 and so on; a null leaves the position out.
  private static func forced(_ fields: JSONFields, _ ids: ClosedRange<Int>) throws(Failure) -> [Int32] {
    var result: [Int32] = []
    for (index, pair) in (try fields.optionalArray("forced_decoder_ids") ?? []).enumerated() {
      let parts = pair.arrayValue ?? []
      guard parts.count == 2, parts[0].integerValue == Int64(index + 1) else {
        throw fields.wrong("forced_decoder_ids", pair, expected: "pairs of position and token, positions from 1 on")
      }
      if parts[1].isNull { continue }
      guard let id = parts[1].integerValue.flatMap({ Int(exactly: $0) }), ids.contains(id) else {
        throw fields.wrong("forced_decoder_ids", parts[1], expected: "token ids from 0 to \(ids.upperBound)")
      }
      result.append(Int32(id))
    }
    return result
  }
}
