import DormouseGrammar
import DormouseSupport
import DormouseText

/// Changes the logits from which an answer's next token is chosen, by the tokens so far.
protocol LogitsRule {
  /// Changes `logits` [vocabulary] in place; -infinity rules a token out. At least one token must stay.
  /// - Throws: `Failure` where it can't be said what is ruled out; the answer then ends with it.
  func apply(to logits: UnsafeMutableBufferPointer<Float>) throws(Failure)

  /// Takes note of the next token of the answer.
  mutating func record(_ token: Int32) throws(Failure)
}

/// The rules of one answer. Each works on what those before it have left; temperature, top-k, top-p and min-p come
/// after them; the model's own log-probabilities know nothing of them.
struct LogitsRules {
  private var rules: [any LogitsRule]
  /// After all others; of the parts of the answer that they are for.
  private let constraint: ConstraintRule?
  private let language: LanguageRule?
  private var calls: CallRule?
  /// Of the logits after all rules, [vocabulary]; nil without rules.
  private let memory: AlignedBuffer?

  /// - Throws: `Failure(.outOfMemory)`.
  init(
    _ rules: [any LogitsRule], constraint: Constraint? = nil, language: LanguageRule? = nil, calls: CallRule? = nil,
    vocabularySize: Int
  ) throws(Failure) {
    self.rules = rules
    self.constraint = constraint.map { ConstraintRule(constraint: $0) }
    self.language = language
    self.calls = calls
    memory =
      rules.isEmpty && constraint == nil && language == nil && calls == nil
      ? nil
      : try AlignedBuffer(
        byteCount: vocabularySize * MemoryLayout<Float>.stride, isZeroed: false, for: "an answer's logits")
  }

  /// The token that comes now whatever the logits are; nil where one is to be chosen.
  func forcedToken(in part: AnswerPart) throws(Failure) -> Int32? {
    part == .reasoning ? nil : try calls?.forcedToken() ?? nil
  }

  /// Whether the answer ends although no end token is known.
  var haveEnded: Bool { calls?.hasEnded ?? false }

  /// The logits after all rules, valid until the next call: `logits` [vocabulary] itself where there are none.
  /// - Parameter part: what the next token belongs to.
  func apply(
    to logits: UnsafeBufferPointer<Float>, in part: AnswerPart = .content
  ) throws(Failure) -> UnsafeBufferPointer<Float> {
    guard let memory else { return logits }
    let changed = memory.bound(to: Float.self)
    _ = changed.update(fromContentsOf: logits)
    for rule in rules { try rule.apply(to: changed) }
    if part != .reasoning { try constraint?.apply(to: changed) }
    try language?.apply(to: changed, in: part)
    if part != .reasoning { try calls?.apply(to: changed) }
    return UnsafeBufferPointer(changed)
  }

  /// Takes note of the next token of the answer.
  /// - Parameter part: what it belongs to.
  mutating func record(_ token: Int32, in part: AnswerPart = .content) throws(Failure) {
    for index in rules.indices { try rules[index].record(token) }
    if part != .reasoning { try constraint?.record(token) }
    try language?.record(token, in: part)
    if part != .reasoning { try calls?.record(token) }
  }
}

extension SamplingParameters {
  /// The rules of an answer, in the order of transformers' logits processors: repetition penalty, presence and
  /// frequency penalties, bias.
  /// - Parameter prompt: the tokens before the answer; those that are not in the vocabulary do nothing.
  func rules(after prompt: [Int32]) -> [any LogitsRule] {
    var rules: [any LogitsRule] = []
    if repetitionPenalty != 1 { rules.append(RepetitionPenalty(penalty: repetitionPenalty, seen: Set(prompt))) }
    if presencePenalty != 0 || frequencyPenalty != 0 {
      rules.append(OccurrencePenalty(presence: presencePenalty, frequency: frequencyPenalty))
    }
    if !logitBias.isEmpty { rules.append(LogitBias(biases: logitBias)) }
    return rules
  }
}

/// Divides the positive logits of tokens in the prompt and the answer by the penalty, and multiplies negative ones by
/// it (Keskar et al., "CTRL", 2019).
private struct RepetitionPenalty: LogitsRule {
  let penalty: Float
  var seen: Set<Int32>

  func apply(to logits: UnsafeMutableBufferPointer<Float>) {
    for token in seen { logits.update(token) { $0 > 0 ? $0 / penalty : $0 * penalty } }
  }

  mutating func record(_ token: Int32) { seen.insert(token) }
}

/// Subtracts from the logits of the answer's tokens: `presence` once, `frequency` for each time that they occur.
private struct OccurrencePenalty: LogitsRule {
  let presence: Float
  let frequency: Float
  private var counts: [Int32: Int] = [:]

  init(presence: Float, frequency: Float) {
    self.presence = presence
    self.frequency = frequency
  }

  func apply(to logits: UnsafeMutableBufferPointer<Float>) {
    for (token, count) in counts { logits.update(token) { $0 - presence - frequency * Float(count) } }
  }

  mutating func record(_ token: Int32) { counts[token, default: 0] += 1 }
}

/// Adds to the logits of single tokens.
private struct LogitBias: LogitsRule {
  let biases: [Int32: Float]

  func apply(to logits: UnsafeMutableBufferPointer<Float>) {
    for (token, bias) in biases { logits.update(token) { $0 + bias } }
  }

  func record(_ token: Int32) {}
}

extension UnsafeMutableBufferPointer<Float> {
  /// Changes a token's logit, if there is such a token.
  fileprivate func update(_ token: Int32, _ change: (Float) -> Float) {
    guard indices.contains(Int(token)) else { return }
    self[Int(token)] = change(self[Int(token)])
  }
}
