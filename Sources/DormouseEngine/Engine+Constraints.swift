import DormouseGrammar
import DormouseSupport

extension Engine {
  /// The tokens of the model as constraints see them. Made at the first call, in a few tenths of a second for a
  /// vocabulary of 130,000, and kept.
  /// - Throws: `Failure(.notFound)` for a model without a tokenizer.
  func grammarVocabulary() throws(Failure) -> GrammarVocabulary {
    let tokenizer = try text.requireTokenizer()
    let outcome: Result<GrammarVocabulary, Failure> = keptGrammarVocabulary.withLock { kept in
      if let kept { return .success(kept) }
      do throws(Failure) {
        let made = try GrammarVocabulary(
          (0..<tokenizer.vocabularySize).map { index in
            let id = Int32(truncatingIfNeeded: index)
            return tokenizer.isSpecial(id) ? [] : tokenizer.bytes(of: id) ?? []
          })
        kept = made
        return .success(made)
      } catch { return .failure(error) }
    }
    return try outcome.get()
  }

  /// The constraint of an answer, if it has one.
  /// - Parameter interruption: of the call that it is for.
  /// - Throws: as `makeConstraint` does, and what the interruption says.
  func constraint(for request: GenerationRequest, _ interruption: Interruption) throws(Failure) -> Constraint? {
    guard let constraint = request.constraint else { return nil }
    let fields = try JSONFields(
      .object(constraint.object), file: "config_json", path: constraint.path, status: .invalidArgument)
    let endTokens =
      request.ignoresEndTokens ? request.stopTokens : request.stopTokens.union(text.generation.endTokens)
    return try Constraint(fields, vocabulary: try grammarVocabulary(), endTokens: endTokens, interruption: interruption)
  }

  /// A constraint over the model's tokens; its end tokens may follow a complete text.
  /// - Parameter json: as `dormouse_constraint_create` describes it.
  /// - Throws: `Failure(.invalidArgument)`, `.unsupported` for what is not enforced, `.notFound` for a model without a
  ///   tokenizer.
  public func makeConstraint(_ json: String) throws(Failure) -> Constraint {
    try Constraint(
      try JSONFields(argument: json, name: "config_json"), vocabulary: try grammarVocabulary(),
      endTokens: text.generation.endTokens)
  }
}
