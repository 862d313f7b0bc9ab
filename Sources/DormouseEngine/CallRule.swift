import DormouseGrammar
import DormouseSupport
import DormouseText

/// Has a model call tools as its format writes it: names of the list, and arguments by their schemas.
///
/// What stands around names and arguments is not chosen but given. A call begins where the answer's content does, if one
/// is required, or where the model begins one by itself.
struct CallRule {
  private enum Stage {
    /// Nothing is asked of the next token.
    case idle
    /// These tokens come, and then the next stage.
    case markup(ArraySlice<Int32>, Next)
    case name(Constraint)
    case arguments(Constraint)
    /// Behind a call, and so many tokens that begin both another one and the end of the calls.
    case between(Int)
    /// Behind required calls: the answer ends.
    case ended
  }

  private enum Next {
    case name, arguments, between, idle, ended
  }

  private let tools: CallableTools
  private let markup: CallMarkup
  private let tokenizer: Tokenizer
  private let endTokens: Set<Int32>
  private let isRequired: Bool
  private let isParallel: Bool
  private var stage: Stage
  private var name: [UInt8] = []
  private var callCount = 0

  /// - Parameters:
  ///   - isRequired: whether the answer is calls, at least one.
  ///   - isParallel: whether there may be more than one.
  init(
    tools: CallableTools, markup: CallMarkup, tokenizer: Tokenizer, endTokens: Set<Int32>, isRequired: Bool,
    isParallel: Bool
  ) {
    self.tools = tools
    self.markup = markup
    self.tokenizer = tokenizer
    self.endTokens = endTokens
    self.isRequired = isRequired
    self.isParallel = isParallel
    stage = isRequired ? .markup(markup.begin[...], .name) : .idle
  }

  /// Whether an answer ends here although no end token is known.
  var hasEnded: Bool { if case .ended = stage { endTokens.isEmpty } else { false } }

  /// The token that comes now, whatever the model thinks likely; nil where it may choose.
  func forcedToken() throws(Failure) -> Int32? {
    switch stage {
    case .markup(let tokens, _): return tokens.first
    case .name(let constraint): return try constraint.allowed().isEmpty ? nameEnd.first : nil
    case .arguments(let constraint): return try constraint.allowed().isEmpty ? markup.callEnd.first : nil
    case .between(let count):
      let (next, end) = branches(count)
      return next == end ? next : nil
    case .idle, .ended: return nil
    }
  }

  /// Rules out what is not of the calls.
  func apply(to logits: UnsafeMutableBufferPointer<Float>) throws(Failure) {
    switch stage {
    case .idle, .markup: return
    case .name(let constraint): try keep(constraint, nameEnd, logits)
    case .arguments(let constraint): try keep(constraint, markup.callEnd, logits)
    case .between(let count):
      let (next, end) = branches(count)
      keep([next, end].compactMap { $0 } + (end == nil ? Array(endTokens) : []), logits)
    case .ended: if !endTokens.isEmpty { keep(Array(endTokens), logits) }
    }
  }

  /// - Parameter end: what follows a complete text.
  private func keep(
    _ constraint: Constraint, _ end: [Int32], _ logits: UnsafeMutableBufferPointer<Float>
  ) throws(Failure) {
    logits.ruleOut(allBut: try constraint.allowed(), constraint.isComplete ? end.prefix(1) : [])
  }

  private func keep(_ tokens: [Int32], _ logits: UnsafeMutableBufferPointer<Float>) {
    for token in logits.indices where !tokens.contains(Int32(truncatingIfNeeded: token)) {
      logits[token] = -.infinity
    }
  }

  /// Takes note of the next token of the answer.
  mutating func record(_ token: Int32) throws(Failure) {
    switch stage {
    case .idle:
      // The model begins a call: what is left of the marker before the name is given.
      guard token == markup.callBegin, let place = markup.begin.firstIndex(of: token) else { return }
      try follow(markup.begin[(place + 1)...], .name)
    case .markup(let tokens, let next): try follow(tokens.dropFirst(), next)
    case .name(let constraint):
      if try constraint.allowed().contains(token) {
        try constraint.accept(CollectionOfOne(token))
        name += tokenizer.bytes(of: token) ?? []
      } else {
        try follow(nameEnd.dropFirst(), .arguments)
      }
    case .arguments(let constraint):
      if try constraint.allowed().contains(token) {
        try constraint.accept(CollectionOfOne(token))
      } else {
        callCount += 1
        try follow(markup.callEnd.dropFirst(), .between)
      }
    case .between(let count):
      let (next, end) = branches(count)
      if token == next, token == end {
        stage = .between(count + 1)
      } else if token == next {
        try follow(markup.beginNext.dropFirst(count + 1), .name)
      } else {
        try follow(markup.end.dropFirst(count + 1), afterCalls)
      }
    case .ended: return
    }
  }

  private var afterCalls: Next { isRequired ? .ended : .idle }

  /// What may come behind a call and `count` tokens of what follows it: in another call, and in the end of all.
  private func branches(_ count: Int) -> (next: Int32?, end: Int32?) {
    (markup.beginNext.dropFirst(count).first, markup.end.dropFirst(count).first)
  }

  /// Behind the name of this call.
  private var nameEnd: [Int32] { markup.nameEnd(callCount) }

  private mutating func follow(_ tokens: ArraySlice<Int32>, _ next: Next) throws(Failure) {
    guard tokens.isEmpty else {
      stage = .markup(tokens, next)
      return
    }
    switch next {
    case .name:
      name = []
      stage = .name(try tools.names())
    case .arguments: stage = .arguments(try tools.arguments(of: name))
    case .between where isParallel: stage = .between(0)
    case .between: try follow(markup.end[...], afterCalls)
    case .idle: stage = .idle
    case .ended: stage = .ended
    }
  }
}
