internal import DormouseSupport

/// Everything a tokenizer's files say, ready for use.
struct TokenizerParts: Sendable {
  var vocabulary: Vocabulary
  var rules: MergeRules
  /// Whether a word that is a token stays whole, whatever the merges make of it.
  var prefersWholeWords: Bool
  /// By byte: the id of the token for this byte, or -1.
  var byteIds: [Int32]
  /// What stands for a byte without a token; nil leaves it out.
  var unknownId: Int32?
  /// Whether several unknown bytes in a row are one unknown token.
  var fusesUnknown: Bool

  var addedIds: Set<Int32>
  /// Control tokens.
  var specialIds: Set<Int32>
  /// One more than the largest id of a token that is no added one.
  var ordinaryCount: Int
  /// Tokens found in the text as it is, and tokens found after the normalizer.
  var plainTokens: AddedTokenMatcher
  var normalizedTokens: AddedTokenMatcher
  var normalizer: [NormalizerStep]
  var preTokenizer: [PreTokenizerStep]

  /// Put around a text when special tokens are asked for.
  var prefix: [Int32]
  var suffix: [Int32]
  var configuration: TokenizerConfiguration

  /// Bytes of text that one id stands for at most; nil where a text may become shorter on its way, by what the
  /// normalizer, a split or an added token drops, or by several unknown bytes that are one id.
  var mostBytesPerId: Int? {
    let hasIdsForAll = !byteIds.contains(-1) || (unknownId != nil && !fusesUnknown)
    guard hasIdsForAll, normalizer.allSatisfy(\.keepsLength), !plainTokens.stripsSpace,
      !normalizedTokens.stripsSpace, preTokenizer.allSatisfy({ $0.split?.behavior != .removed })
    else { return nil }
    return max(vocabulary.longestToken, plainTokens.longest, normalizedTokens.longest, 1)
  }

  /// What is known of an added token; nil for any other.
  func addedToken(_ id: Int32) -> AddedToken? { plainTokens.token(id) ?? normalizedTokens.token(id) }

  /// The ids of `bytes`, valid UTF-8, with added tokens only inside `markup`.
  func encode(_ bytes: [UInt8], markup: [Range<Int>], work: TextWork) throws(Failure) -> [Int32] {
    if bytes.isEmpty { return [] }
    var list = PieceList(bytes: bytes, pieces: [Piece(start: 0, end: bytes.count)])
    try plainTokens.split(&list, markup: markup, work: work)
    let markup = try normalize(&list, markup: markup, work: work)
    try normalizedTokens.split(&list, markup: markup, work: work)
    return try ids(of: list, work: work)
  }

  /// Runs the normalizer over every text piece.
  /// - Returns: where the markup is now.
  private func normalize(
    _ list: inout PieceList, markup: [Range<Int>], work: TextWork
  ) throws(Failure) -> [Range<Int>] {
    if normalizer.isEmpty { return markup }
    var isMarkup = [Bool](repeating: false, count: list.bytes.count)
    for range in markup { for index in range { isMarkup[index] = true } }
    var result = NormalizerStep.Text(bytes: [], isMarkup: [])
    var pieces: [Piece] = []
    for piece in list.pieces {
      var text = NormalizerStep.Text(bytes: Array(list.bytes[piece.range]), isMarkup: Array(isMarkup[piece.range]))
      if piece.token < 0 { try NormalizerStep.apply(normalizer, to: &text, work: work) }
      let start = result.bytes.count
      try NormalizerStep.check(start + text.bytes.count, limit: NormalizerStep.limit(list.bytes.count))
      result.bytes += text.bytes
      result.isMarkup += text.isMarkup
      if start < result.bytes.count {
        pieces.append(Piece(start: start, end: result.bytes.count, token: piece.token))
      }
    }
    list = PieceList(bytes: result.bytes, pieces: pieces)
    return TokenizerParts.ranges(of: result.isMarkup)
  }

  private static func ranges(of flags: [Bool]) -> [Range<Int>] {
    var ranges: [Range<Int>] = []
    for (index, flag) in flags.enumerated() where flag {
      if let last = ranges.last, last.upperBound == index {
        ranges[ranges.count - 1] = last.lowerBound..<index + 1
      } else {
        ranges.append(index..<index + 1)
      }
    }
    return ranges
  }

  private func ids(of list: PieceList, work: TextWork) throws(Failure) -> [Int32] {
    try list.bytes.withUnsafeBufferPointer { (bytes) throws(Failure) in
      var ids: [Int32] = []
      ids.reserveCapacity(bytes.count / 3)
      var merger = BytePairMerger()
      let cutter = WordCutter(preTokenizer)
      for piece in list.pieces {
        if piece.token >= 0 {
          ids.append(piece.token)
          continue
        }
        let text = UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: bytes[piece.range]))
        try cutter.forEachWord(of: text, work: work) { (word) throws(Failure) in
          try appendIds(ofWord: word, merger: &merger, work: work, to: &ids)
        }
      }
      return ids
    }
  }

  private func appendIds(
    ofWord word: UnsafeRawBufferPointer, merger: inout BytePairMerger, work: TextWork, to ids: inout [Int32]
  ) throws(Failure) {
    if prefersWholeWords, let id = vocabulary.id(ofBytes: word) {
      ids.append(id)
      return
    }
    merger.begin(word.count)
    var unknownStart: Int?
    for (index, byte) in word.enumerated() {
      let id = byteIds[Int(byte)]
      if id < 0, fusesUnknown, unknownStart != nil { continue }
      if let start = unknownStart, let unknownId {
        merger.add(unknownId, start: start, length: index - start)
        unknownStart = nil
      }
      if id >= 0 {
        merger.add(id, start: index, length: 1)
      } else if unknownId != nil {
        unknownStart = index
      }
    }
    if let start = unknownStart, let unknownId { merger.add(unknownId, start: start, length: word.count - start) }
    try merger.finish(word: word, rules: rules, vocabulary: vocabulary, work: work, into: &ids)
  }
}
